import {
  FlowstateError,
  type FieldError,
  type ImportCounts,
  type ImportEntity,
  type ImportRejection,
  type ImportSummary,
  type Viewer,
} from '@flowstate/contracts';
import type { Sql, UpsertedDocument, UpsertOutcome } from '@flowstate/store';
import type { RowReader } from './row-reader.ts';
import type { SourceRow } from './source-row.ts';
import type { ImportTarget } from './targets.ts';

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
  /** Starts what stored documents still need; answers run ids. */
  ingest: (documents: UpsertedDocument[]) => Promise<string[]>;
  /** The process is about to end: no further batch. */
  draining: AbortSignal;
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
      if (outcome !== 'unknown-customer') counts[outcome] += 1;
      else yield reject(waiting[i]?.line ?? 0, waiting[i]?.row.externalId, [unknownCustomer]);
    }
    if (documents !== undefined && !job.dryRun) runs.push(...(await job.ingest(documents)));
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
    const key = target.key(read.row);
    // A key for the second time: the later row counts, as it would in another batch.
    if (batch.has(key) || batch.size >= target.batchRows || batchSize > maxBatchSize) yield* flush();
    batch.set(key, { line: source.line, row: read.row });
    batchSize += source.size;
  }
  yield* flush();
  const byFrequency = [...reasons.values()].toSorted((a, b) => b.count - a.count).slice(0, maxReasons);
  yield { entity: job.entity, dryRun: job.dryRun, ...counts, reasons: byFrequency, runs };
}

type Written = { outcomes: UpsertOutcome[]; documents?: UpsertedDocument[] };

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
