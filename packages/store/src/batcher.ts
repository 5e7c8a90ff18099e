import { FlowstateError } from '@flowstate/contracts';
import { inSpan, outsideSpans } from '@flowstate/tracing';
import { isRowFault } from './failures.ts';

type Options<I, O> = {
  /** Writes a whole batch in one round trip; answers in the order of its items. */
  flush: (items: I[]) => Promise<O[]>;
  /** What the statement does, for the span of each item: it serves many traces, and is part of each. */
  summary?: string;
  /** Items of one batch at most. */
  maxItems?: number;
  /** Batches under way at most. */
  lanes?: number;
  /** Bytes an item keeps in memory; with `maxBytes` the bound of everything waiting. */
  sizeOf?: (item: I) => number;
  maxBytes?: number;
  /** Waits to the end of the event-loop turn, so that what its I/O still brings shares the statement. */
  afterTurn?: boolean;
};

export type Batcher<I, O> = {
  /** Resolves when the item's batch is committed. Rejects `unavailable` at once when the buffer is full. */
  add(item: I): Promise<O>;
};

type Waiting<I, O> = { item: I; bytes: number; resolve: (value: O) => void; reject: (error: unknown) => void };

/**
 * Group commit: flushed at once when a lane is free; what arrives meanwhile forms the next batch. There is no timer,
 * so an idle system pays no delay and a busy one writes fewer, larger statements.
 */
export function createBatcher<I, O>(options: Options<I, O>): Batcher<I, O> {
  const {
    flush,
    summary = 'batch',
    maxItems = 200,
    lanes = 1,
    sizeOf = () => 0,
    maxBytes = 64 * 1024 * 1024,
    afterTurn = false,
  } = options;
  const attributes = { 'db.system.name': 'postgresql', 'db.query.summary': summary };
  const soon = afterTurn ? setImmediate : queueMicrotask;
  const queue: Waiting<I, O>[] = [];
  let underWay = 0;
  let bytes = 0;

  function pump(): void {
    while (underWay < lanes && queue.length > 0) {
      underWay += 1;
      void write(queue.splice(0, maxItems)).finally(() => {
        underWay -= 1;
        pump();
      });
    }
  }

  async function write(batch: Waiting<I, O>[]): Promise<void> {
    try {
      const answers = await outsideSpans(() => flush(batch.map((waiting) => waiting.item)));
      for (const [index, waiting] of batch.entries()) waiting.resolve(answers[index] as O);
    } catch (error) {
      if (batch.length > 1 && isRowFault(error)) {
        // One bad row must not fail its neighbours: each is written alone.
        for (const waiting of batch) await write([waiting]);
        bytes += batch.reduce((sum, waiting) => sum + waiting.bytes, 0);
      } else {
        for (const waiting of batch) waiting.reject(error);
      }
    } finally {
      bytes -= batch.reduce((sum, waiting) => sum + waiting.bytes, 0);
    }
  }

  return {
    add(item) {
      const size = sizeOf(item);
      if (bytes + size > maxBytes) {
        return Promise.reject(new FlowstateError('unavailable', 'Too much is waiting to be written'));
      }
      bytes += size;
      return inSpan(summary, { kind: 'CLIENT', attributes }, () => {
        const { promise, resolve, reject } = Promise.withResolvers<O>();
        queue.push({ item, bytes: size, resolve, reject });
        // A little later, so that what is added together shares a statement.
        if (queue.length === 1) soon(pump);
        return promise;
      });
    },
  };
}
