import {
  FlowstateError,
  type FieldError,
  type ImportCounts,
  type ImportEntity,
  type ImportRejection,
  type ImportSummary,
  type Viewer,
} from '@flowstate/contracts';
import type { Sql } from '@flowstate/store';
import type { IngestBatches } from '../documents/ingest-batches.ts';
import type { RowReader } from './row-reader.ts';
import type { SourceRow } from './source-row.ts';
import type { ImportTarget, Written } from './import-target.ts';

export type ImportJob = {
  sql: Sql;
  entity: ImportEntity;
  target: ImportTarget;
  viewer: Viewer;
  rows: AsyncIterable<SourceRow>;
  readRow: RowReader<{ externalId?: string }>;
  /** CSV: cells are text. */
  asText: boolean;
  /** Everything is judged against what is stored now, nothing stays. */
  dryRun: boolean;
  /** Starts what stored documents still need. */
  ingest: IngestBatches;
  /** The process is about to end: no further batch. */
  draining: AbortSignal;
  /** The line a key stood on before; such a row is refused. Without it the later row replaces the earlier one. */
  lineBefore?: (key: string, line: number) => number | undefined;
  /** After the last commit, before it is told of: whoever searches from then on finds what it stored. */
  changed: () => Promise<void>;
  /** Told once how it ended, also when the reader left. */
  onEnd?: (counts: ImportCounts, complete: boolean) => void;
};

export type ImportStep = ImportRejection | { progress: ImportCounts } | ImportSummary;

type Waiting = { line: number; row: { externalId?: string } };

const maxBatchSize = 4 * 1024 * 1024; // characters of the file
const progressEveryMs = 1_000;
const maxReasons = 20;
/** Field names of free-form data are without number: no more reasons than these are counted. */
const maxCountedReasons = 1_000;
const unknownCustomer: FieldError = { field: 'customer', message: 'does not exist: import customers first' };

/**
 * Imports row by row: a bad row is given out as a rejection, good ones are committed batch by batch, the summary comes
 * last. Ended early, by an error or by the reader leaving, what was committed stays; repeating is safe. `counts` tells
 * at any time how far it is.
 */
export async function* runImport(job: ImportJob, counts: ImportCounts): AsyncGenerator<ImportStep> {
  let complete = false;
  try {
    const summary = yield* importRows(job, counts);
    await job.changed();
    complete = true;
    yield summary;
  } finally {
    // What is committed can be found soon, however the import ended. Where even that fails, sending it again helps.
    if (!complete) await Promise.allSettled([job.ingest.end(), job.changed()]);
    job.onEnd?.(counts, complete);
  }
}

/** All but the summary, which it returns. */
async function* importRows(job: ImportJob, counts: ImportCounts): AsyncGenerator<ImportStep, ImportSummary> {
  const { target } = job;
  const reasons = new Map<string, { field: string; message: string; count: number }>();
  const runs: string[] = [];
  let batch = new Map<string, Waiting>();
  let batchSize = 0;
  let toldAt = performance.now();

  function reject(line: number, externalId: string | undefined, errors: FieldError[]): ImportRejection {
    counts.rejected += 1;
    for (const { field, message } of errors) {
      const key = `${field}\0${message}`;
      const reason = reasons.get(key);
      if (reason !== undefined) reason.count += 1;
      else if (reasons.size < maxCountedReasons) reasons.set(key, { field, message, count: 1 });
    }
    return { line, ...(externalId !== undefined && { externalId }), errors };
  }

  async function* flush(): AsyncGenerator<ImportStep> {
    if (job.draining.aborted) {
      throw new FlowstateError('unavailable', 'The gateway is about to stop: send the file again, that is safe');
    }
    const waiting = [...batch.values()];
    batch = new Map();
    batchSize = 0;
    if (waiting.length === 0) return;
    const { outcomes, documents } = await write(
      job,
      waiting.map(({ row }) => row),
    );
    for (const [i, outcome] of outcomes.entries()) {
      const errors = outcome === 'unknown-customer' ? [unknownCustomer] : typeof outcome === 'object' && outcome.errors;
      if (errors) yield reject(waiting[i]?.line ?? 0, waiting[i]?.row.externalId, errors);
      else counts[outcome as Exclude<typeof outcome, object | 'unknown-customer'>] += 1;
    }
    if (documents !== undefined && !job.dryRun) runs.push(...(await job.ingest.add(documents)));
  }

  for await (const source of job.rows) {
    counts.rows += 1;
    if (performance.now() - toldAt > progressEveryMs) {
      toldAt = performance.now();
      yield { progress: { ...counts } };
    }
    if ('errors' in source) {
      yield reject(source.line, undefined, source.errors);
      continue;
    }
    const read = job.readRow(source.cells, job.asText);
    if ('errors' in read) {
      yield reject(source.line, read.externalId, read.errors);
      continue;
    }
    const wrong = target.check?.(read.row) ?? [];
    const key = target.key(read.row);
    const before = wrong.length > 0 ? undefined : job.lineBefore?.(key, source.line);
    if (before !== undefined) wrong.push({ field: 'externalId', message: `is that of line ${before} too` });
    if (wrong.length > 0) {
      yield reject(source.line, read.row.externalId, wrong);
      continue;
    }
    // A key for the second time: the later row counts, as it would in another batch.
    if (batch.has(key) || batch.size >= target.batchRows || batchSize > maxBatchSize) yield* flush();
    batch.set(key, { line: source.line, row: read.row });
    batchSize += source.size;
  }
  yield* flush();
  runs.push(...(await job.ingest.end()));
  const byFrequency = [...reasons.values()].toSorted((a, b) => b.count - a.count).slice(0, maxReasons);
  return { entity: job.entity, dryRun: job.dryRun, ...counts, reasons: byFrequency, runs };
}

async function write({ sql, target, viewer, dryRun }: ImportJob, rows: { externalId?: string }[]): Promise<Written> {
  if (!dryRun) return target.write(sql, rows, viewer);
  const rollback = new Error('a dry run');
  let written: Written | undefined;
  try {
    await sql.begin(async (tx) => {
      written = await target.write(tx, rows, viewer);
      throw rollback;
    });
  } catch (error) {
    if (error !== rollback) throw error;
  }
  return written ?? { outcomes: [] };
}
