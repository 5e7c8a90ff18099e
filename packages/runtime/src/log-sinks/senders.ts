import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { appendFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { hostname } from 'node:os';
import { toSyslog } from './syslog-line.ts';

/** Sends lines (JSON, without line ends) to the far end; rejects when that did not take them. */
export type Sender = {
  send(lines: string[]): Promise<void>;
  close(): void;
};

export type SinkTarget =
  | { kind: 'file'; path: string }
  | { kind: 'syslog'; url: string; service: string }
  | { kind: 'http'; url: string; format: 'ndjson' | 'bulk'; token: string | undefined };

/** The far end took the request and will never take these lines: to try again would only stop all later ones. */
export class RefusedLines extends Error {}

const timeoutMs = 5_000;

export function createSender(target: SinkTarget): Sender {
  if (target.kind === 'file') return fileSender(target.path);
  if (target.kind === 'http') return httpSender(target);
  const toLine = (line: string) => toSyslog(line, { hostname: hostname(), service: target.service });
  const url = new URL(target.url);
  return url.protocol === 'udp:' ? udpSender(url, toLine) : tcpSender(url, toLine);
}

/** Opened for each batch, so that a rotated file is simply a new one. */
function fileSender(path: string): Sender {
  return {
    send: (lines) => appendFile(path, lines.map((line) => `${line}\n`).join(''), { mode: 0o600 }),
    close() {},
  };
}

function httpSender({ url, format, token }: Extract<SinkTarget, { kind: 'http' }>): Sender {
  const before = format === 'bulk' ? '{"create":{}}\n' : '';
  const headers = {
    'content-type': 'application/x-ndjson',
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  };
  return {
    async send(lines) {
      const body = lines.map((line) => `${before}${line}\n`).join('');
      const response = await fetch(url, { method: 'POST', headers, body, signal: AbortSignal.timeout(timeoutMs) });
      await response.body?.cancel();
      const { status } = response;
      if (status < 300) return;
      // Busy, broken or not let in now: all of that may pass. That these lines are wrong does not.
      if (status === 400 || status === 413 || status === 422) throw new RefusedLines(`answered ${status}`);
      throw new Error(`answered ${status}`);
    },
    close() {},
  };
}

/** RFC 6587, octets counted: a message may hold anything. */
function tcpSender(url: URL, toLine: (line: string) => string): Sender {
  let socket: Socket | undefined;

  async function open(): Promise<Socket> {
    const opened = connect(Number(url.port), url.hostname.replace(/^\[|\]$/g, ''));
    opened.setKeepAlive(true, timeoutMs);
    const forget = () => {
      opened.destroy();
      if (socket === opened) socket = undefined;
    };
    opened.on('error', forget);
    opened.on('close', forget);
    opened.on('end', forget); // a syslog server says nothing; when it hangs up, what is written now goes nowhere
    opened.resume();
    try {
      await once(opened, 'connect', { signal: AbortSignal.timeout(timeoutMs) });
    } catch (error) {
      forget();
      throw error;
    }
    return opened;
  }

  return {
    async send(lines) {
      const current = (socket ??= await open());
      const frames = lines.map((line) => {
        const message = toLine(line);
        return `${Buffer.byteLength(message)} ${message}`;
      });
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const late = setTimeout(() => current.destroy(new Error('no answer in time')), timeoutMs);
      const onClose = () => reject(new Error('the connection ended'));
      current.once('close', onClose);
      current.write(frames.join(''), (error) => (error ? reject(error) : resolve()));
      await promise.finally(() => {
        clearTimeout(late);
        current.off('close', onClose);
      });
    },
    close: () => socket?.destroy(),
  };
}

/** One datagram a line. Nobody says whether it arrived: that is what UDP is chosen for. */
function udpSender(url: URL, toLine: (line: string) => string): Sender {
  const address = url.hostname.replace(/^\[|\]$/g, '');
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  socket.on('error', () => {});
  socket.unref();
  return {
    async send(lines) {
      for (const line of lines) {
        await new Promise<void>((resolve, reject) =>
          socket.send(toLine(line), Number(url.port), address, (error) => (error ? reject(error) : resolve())),
        );
      }
    },
    close: () => socket.close(),
  };
}
