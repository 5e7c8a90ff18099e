import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import { freePort } from '../../deploy/local/src/ports.ts';

let far: Promise<Server> | undefined;

/**
 * A port that the system gives to nobody else for as long as this process lives: whoever is told it may listen there,
 * end and come back. One that was only found free, or is free while a service restarts, goes to any of the processes
 * that tests start meanwhile.
 */
export async function holdPort(): Promise<number> {
  // Elsewhere nobody could listen beside it.
  if (process.platform !== 'linux') return freePort();
  far ??= startFarEnd();
  const { port } = (await far).address() as AddressInfo;
  // A connection's own end holds it: bound, but listening to nothing.
  const near = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.1' });
  await once(near, 'connect');
  near.unref();
  return near.localPort ?? 0;
}

async function startFarEnd(): Promise<Server> {
  const server = createServer((socket) => socket.unref());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server.unref();
}
