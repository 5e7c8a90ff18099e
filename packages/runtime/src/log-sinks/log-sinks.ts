import { once } from 'node:events';
import { pino, type DestinationStream } from 'pino';
import type { SinkTarget } from './senders.ts';
import type { LogSinkSettings } from './settings.ts';
import { standardOutput } from './standard-output.ts';
import type { TransportOptions } from './transport.ts';

export type SinkNews = { sink: string; state: 'trouble' | 'recovered'; reason: string };

/** Where lines go: stdout, and whatever sinks the environment names. */
export type LogSinks = {
  /** For application logs; each may be written to at once. */
  logs: DestinationStream[];
  /** For audit entries; empty where nothing wants them. */
  audit: DestinationStream[];
  /** Lines lost so far, by sink. */
  lost(): Record<string, number>;
  /** Told when a sink's far end goes away or comes back. */
  onNews(listener: (news: SinkNews) => void): void;
  /** Sends what is buffered, for at most a few seconds. */
  close(): Promise<void>;
};

type Sink = { stream: DestinationStream; lost(): number; close(): Promise<void> };

const closeWithinMs = 4_000;

/** Opens the sinks of the environment. Each has a worker thread and a bounded buffer of its own. */
export function createLogSinks(service: string, settings: LogSinkSettings): LogSinks {
  const listeners: ((news: SinkNews) => void)[] = [];
  const tell = (news: SinkNews) => listeners.forEach((listener) => listener(news));
  const { LOG_SINK_STDOUT: stdout, LOG_SINK_BUFFER_BYTES: maxBytes } = settings;
  const sinks = new Map(
    targetsOf(service, settings).map((target) => [target.kind, openSink({ target, maxBytes }, tell)]),
  );
  const streams = [...sinks.values()].map(({ stream }) => stream);
  const out = stdout === 'off' ? [] : [standardOutput(service)];
  return {
    logs: [...out, ...streams],
    audit: [...(stdout === 'all' ? out : []), ...streams],
    lost: () => Object.fromEntries([...sinks].map(([name, sink]) => [name, sink.lost()])),
    onNews: (listener) => void listeners.push(listener),
    async close() {
      await Promise.all([...sinks.values()].map((sink) => sink.close()));
    },
  };
}

function targetsOf(service: string, settings: LogSinkSettings): SinkTarget[] {
  const { LOG_SINK_FILE, LOG_SINK_SYSLOG, LOG_SINK_HTTP, LOG_SINK_HTTP_FORMAT, LOG_SINK_HTTP_TOKEN } = settings;
  return [
    ...(LOG_SINK_FILE === undefined ? [] : [{ kind: 'file', path: LOG_SINK_FILE } as const]),
    ...(LOG_SINK_SYSLOG === undefined ? [] : [{ kind: 'syslog', url: LOG_SINK_SYSLOG, service } as const]),
    ...(LOG_SINK_HTTP === undefined
      ? []
      : [{ kind: 'http', url: LOG_SINK_HTTP, format: LOG_SINK_HTTP_FORMAT, token: LOG_SINK_HTTP_TOKEN } as const]),
  ];
}

function openSink(options: TransportOptions, tell: (news: SinkNews) => void): Sink {
  const { kind: sink } = options.target;
  const transport = pino.transport<TransportOptions>({
    target: new URL('transport.ts', import.meta.url).href,
    options,
  });
  let lost = 0;
  let waiting = 0;
  let state: 'open' | 'failed' | 'closed' = 'open';
  transport.on('lost', (lines: number) => void (lost += lines));
  transport.on('trouble', (reason: string) => tell({ sink, state: 'trouble', reason }));
  transport.on('recovered', () => tell({ sink, state: 'recovered', reason: '' }));
  transport.on('drain', () => void (waiting = 0));
  transport.on('error', (error: Error) => {
    if (state === 'closed') return;
    state = 'failed';
    tell({ sink, state: 'trouble', reason: error.message });
  });
  return {
    stream: {
      write(line) {
        // The thread empties its inbox at once; when it does not, this side must not be where lines pile up.
        if (state === 'closed') return;
        if (state === 'failed' || waiting > options.maxBytes) {
          lost += 1;
          return;
        }
        if (transport.write(line)) waiting = 0;
        else waiting += line.length;
      },
    },
    lost: () => lost,
    async close() {
      if (state !== 'open') return;
      state = 'closed';
      const closed = once(transport, 'close');
      transport.end();
      // The thread keeps nothing alive, this timer does.
      const { promise: late, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, closeWithinMs);
      await Promise.race([closed, late]).finally(() => clearTimeout(timer));
    },
  };
}
