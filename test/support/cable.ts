import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { Transform } from 'node:stream';
import type { Test } from 'tap';
import { holdPort } from './held-port.ts';

export type Cable = {
  /** The same server, reached through here. */
  url: string;
  /** As when the server is gone: open connections break, new ones are refused. */
  cut(): Promise<void>;
  /** As when the server hangs: connections stay, answers do not come. */
  stall(): void;
  /** As when a firewall forgets its connections: they break for clients, and the server hears nothing of it. */
  forget(): void;
  mend(): Promise<void>;
};

/** A way to a store that one test can take away from itself and leave to all others; to a cluster, one to each node. */
export async function startCable(t: Pick<Test, 'teardown'>, target: string): Promise<Cable> {
  const url = new URL(target);
  const others = url.searchParams.get('nodes')?.split(',') ?? [];
  // Nodes name each other by where they are: who comes by cable is told where their cables are.
  const names = new Map<string, string>();
  const lines = await Promise.all([url.host, ...others].map((node) => startLine(node, names)));
  if (others.length > 0) for (const line of lines) names.set(line.target, String(line.port));
  const cut = async () => void (await Promise.all(lines.map((line) => line.cut())));
  t.teardown(cut);
  const [first, ...more] = lines.map((line) => `127.0.0.1:${line.port}`);
  url.host = first ?? '';
  if (more.length > 0) url.search = `nodes=${more.join()}`;
  return {
    url: url.href,
    cut,
    stall: () => lines.forEach((line) => line.stall()),
    forget: () => lines.forEach((line) => line.forget()),
    mend: async () => void (await Promise.all(lines.map((line) => line.mend()))),
  };
}

/** One server's; of its answers, ports in `names` are told by their other name. */
async function startLine(node: string, names: ReadonlyMap<string, string>) {
  const { hostname, port: target } = new URL(`tcp://${node}`);
  const sockets = new Set<Socket>();
  const servers = new Map<Socket, Socket>();
  let stalled = false;
  const server = createServer((near) => {
    const far = connect(Number(target), hostname);
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        if (servers.has(near)) other.destroy();
      });
    }
    servers.set(near, far);
    near.on('close', () => servers.delete(near));
    if (names.size === 0) near.pipe(far).pipe(near);
    else near.pipe(far).pipe(renaming(names)).pipe(near);
    if (stalled) near.pause();
  });
  const port = await holdPort();

  async function mend(): Promise<void> {
    stalled = false;
    for (const socket of sockets) socket.resume();
    if (server.listening) return;
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  }
  async function cut(): Promise<void> {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  }
  function stall(): void {
    stalled = true;
    for (const socket of sockets) socket.pause();
  }

  function forget(): void {
    for (const [near, far] of servers) {
      servers.delete(near);
      far.unpipe();
      near.unpipe();
      near.destroy();
    }
  }

  await mend();
  return { target, port, cut, stall, forget, mend };
}

/** Ports stand alone as Redis' integers, and at the end of its redirections. */
function renaming(names: ReadonlyMap<string, string>): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const told = chunk
        .toString('latin1')
        .replaceAll(/:(\d+)\r\n/g, (all, port: string) => (names.has(port) ? `:${names.get(port)}\r\n` : all));
      done(null, Buffer.from(told, 'latin1'));
    },
  });
}
