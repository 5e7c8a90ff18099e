// A pino transport: runs in a worker thread of its own, so that whatever the far end does, no request waits.
import { setTimeout as wait } from 'node:timers/promises';
import { parentPort } from 'node:worker_threads';
import build from 'pino-abstract-transport';
import { createSender, RefusedLines, type SinkTarget } from './senders.ts';

export type TransportOptions = { target: SinkTarget; maxBytes: number };

const batchLines = 500;
const longestPauseMs = 5_000;
const closeWithinMs = 3_000;

/** Buffers lines, bounded by bytes, and sends them in order; what finds no room or comes too late is reported lost. */
export default function transport({ target, maxBytes }: TransportOptions): ReturnType<typeof build> {
  const sender = createSender(target);
  const queue: string[] = [];
  let bytes = 0;
  let wake = () => {};
  let troubled = false;
  const ended = new AbortController();

  const tell = (name: 'lost' | 'trouble' | 'recovered', value: number | string) =>
    parentPort?.postMessage({ code: 'EVENT', name, args: [value] });

  async function sendAll(): Promise<void> {
    let pauseMs = 0;
    for (;;) {
      const batch = queue.slice(0, batchLines);
      if (batch.length === 0) {
        if (ended.signal.aborted) return;
        await new Promise<void>((resolve) => (wake = resolve));
        continue;
      }
      try {
        await sender.send(batch);
        if (troubled) tell('recovered', '');
        troubled = false;
        pauseMs = 0;
      } catch (error) {
        if (!troubled) tell('trouble', (error as Error).message);
        troubled = true;
        if (!(error instanceof RefusedLines)) {
          pauseMs = Math.min(longestPauseMs, Math.max(100, pauseMs * 2));
          // At the end there is no time for long pauses, only for the last tries.
          const signal = ended.signal.aborted ? undefined : ended.signal;
          await wait(ended.signal.aborted ? 100 : pauseMs, undefined, signal && { signal }).catch(() => {});
          continue;
        }
        tell('lost', batch.length);
      }
      queue.splice(0, batch.length);
      bytes -= batch.reduce((sum, line) => sum + line.length, 0);
    }
  }

  const sending = sendAll();

  return build(
    async (source) => {
      for await (const line of source as AsyncIterable<string>) {
        if (bytes + line.length > maxBytes) {
          tell('lost', 1);
          continue;
        }
        queue.push(line);
        bytes += line.length;
        wake();
      }
    },
    {
      parse: 'lines',
      async close() {
        ended.abort();
        wake();
        await Promise.race([sending, wait(closeWithinMs)]);
        if (queue.length > 0) tell('lost', queue.length);
        sender.close();
      },
    },
  );
}
