import { BatchSpanProcessor, type ReadableSpan, type SpanExporter, type SpanProcessor } from '@opentelemetry/sdk-trace';
import { exportTally } from './export-tally.ts';

type ExportResult = Parameters<Parameters<SpanExporter['export']>[1]>[0];

type Options = {
  exporter: SpanExporter;
  /** Where that sends them. */
  endpoint: string;
  capacity: number;
  delayMs: number;
  batchSize: number;
  /** Told when the collector stops taking spans (with the reason), and when it takes them again (null). */
  onNews: (trouble: string | null) => void;
};

/**
 * OpenTelemetry's batch processor, with its bound held and counted here: it keeps only `capacity` spans, those under
 * way included, however long the collector hangs, and tries again for as long as the process lives.
 */
export function createSpanExport({ exporter, endpoint, capacity, delayMs, batchSize, onNews }: Options): SpanProcessor {
  const tally = exportTally;
  tally.enabled = true;
  tally.endpoint = endpoint;
  tally.capacity = capacity;

  function settled(spans: ReadableSpan[], { error }: ExportResult): void {
    tally.waiting -= spans.length;
    const before = tally.trouble;
    if (error === undefined) {
      tally.sent += spans.length;
      tally.lastSentAt = Date.now();
      tally.trouble = null;
    } else {
      tally.dropped.export_failed += spans.length;
      tally.trouble = error.message || 'no reason given';
    }
    if ((before === null) !== (tally.trouble === null)) onNews(tally.trouble);
  }

  const batches = new BatchSpanProcessor({
    maxQueueSize: capacity,
    scheduledDelayMillis: delayMs,
    maxExportBatchSize: Math.min(batchSize, capacity),
    exporter: {
      export(spans, done) {
        exporter.export(spans, (result) => {
          settled(spans, result);
          done(result);
        });
      },
      shutdown: () => exporter.shutdown(),
      forceFlush: async () => exporter.forceFlush?.(),
    },
  });

  return {
    onStart: () => {},
    onEnd(span) {
      if ((span.spanContext().traceFlags & 1) === 0) return;
      if (tally.waiting >= capacity) {
        tally.dropped.queue_full += 1;
        return;
      }
      tally.waiting += 1;
      batches.onEnd(span);
    },
    forceFlush: () => batches.forceFlush(),
    shutdown: () => batches.shutdown(),
  };
}
