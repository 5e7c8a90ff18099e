import { BatchSpanProcessor, type ReadableSpan, type SpanExporter, type SpanProcessor } from '@opentelemetry/sdk-trace';

/** How exporting goes; all zero where telemetry is off. */
export type ExportTally = {
  enabled: boolean;
  endpoint: string;
  /** Why it is not on although it was wanted; empty when nothing is wrong. */
  fault: string;
  /** Spans that wait, or are on their way. */
  waiting: number;
  capacity: number;
  sent: number;
  dropped: { queue_full: number; export_failed: number };
  /** Milliseconds since 1970; null: not yet. */
  lastSentAt: number | null;
  /** What the last export failed with; null when it did not. */
  trouble: string | null;
};

type ExportResult = Parameters<Parameters<SpanExporter['export']>[1]>[0];

/** What this process exported. One for the process, like telemetry itself, which starts before any service does. */
export const exportTally: ExportTally = {
  enabled: false,
  endpoint: '',
  fault: '',
  waiting: 0,
  capacity: 0,
  sent: 0,
  dropped: { queue_full: 0, export_failed: 0 },
  lastSentAt: null,
  trouble: null,
};

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
