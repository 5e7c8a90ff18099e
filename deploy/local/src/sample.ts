import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { importEntities, isTerminal, type ImportEntity, type ImportSummary, type Run } from '@flowstate/contracts';
import type { Api } from './api.ts';
import { clone } from './clone.ts';
import { readIfThere, writePrivate } from './private-file.ts';

/** When the sample set ends; loaded, it ends now. */
const anchor = Date.parse('2026-01-31T18:00:00Z');
const dayMs = 86_400_000;

const files: Record<ImportEntity, { file: string; type: string }> = {
  customers: { file: 'customers.csv', type: 'text/csv' },
  interactions: { file: 'interactions.csv', type: 'text/csv' },
  opportunities: { file: 'opportunities.csv', type: 'text/csv' },
  integrations: { file: 'integrations.ndjson', type: 'application/x-ndjson' },
  documents: { file: 'documents.ndjson', type: 'application/x-ndjson' },
};

type Progress = { sampleLoaded?: Record<string, 'begun' | 'done'> };

type Options = {
  /** Names the database among those this clone has used. */
  database: string;
  log: (line: string) => void;
  signal: AbortSignal;
};

/**
 * Loads the sample data through the import API, once per database; an interrupted load begins again, which changes
 * nothing that is there already. A database that has customers of its own gets none.
 */
export async function loadSample(api: Api, { database, log, signal }: Options): Promise<void> {
  const progress = JSON.parse(readIfThere(clone.progress) ?? '{}') as Progress;
  const note = (state: 'begun' | 'done'): void => {
    progress.sampleLoaded = { ...progress.sampleLoaded, [database]: state };
    writePrivate(clone.progress, `${JSON.stringify(progress, null, 2)}\n`);
  };
  if (progress.sampleLoaded?.[database] === 'done') return;
  if (progress.sampleLoaded?.[database] === undefined) {
    const { items } = await api.request<{ items: unknown[] }>('GET', '/api/customers?limit=1');
    if (items.length > 0) return note('done');
  }
  note('begun');
  const now = Date.now();
  const runs: string[] = [];
  for (const entity of importEntities) {
    signal.throwIfAborted();
    const summary = await importFile(api, entity, now);
    log(`Sample data: ${summary.rows} ${entity}`);
    runs.push(...summary.runs);
  }
  if (runs.length > 0) log('Sample data: embedding the documents …');
  for (const id of runs) await finished(api, id, signal);
  note('done');
}

async function importFile(api: Api, entity: ImportEntity, now: number): Promise<ImportSummary> {
  const { file, type } = files[entity];
  const text = await readFile(join(clone.root, 'deploy/sample', file), 'utf8');
  const answer = await api.stream('POST', `/api/import?entity=${entity}`, {
    body: movedToEndAt(text, now),
    headers: { 'content-type': type },
  });
  const lines = (await new Response(answer).text()).trim().split('\n');
  const summary = JSON.parse(lines.at(-1) ?? '{}') as ImportSummary;
  if (summary.rejected > 0) throw new Error(`The sample data of ${entity} was refused: ${lines[0]}`);
  return summary;
}

/** Moves every date and time by the same span, so that the set ends at `end` (ms); plain dates by whole days, rounded down. */
export function movedToEndAt(text: string, end: number): string {
  const span = end - anchor;
  const days = Math.floor(span / dayMs) * dayMs;
  return text.replaceAll(/\b\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}Z)?/g, (stamp, time: string | undefined) =>
    time === undefined
      ? new Date(Date.parse(stamp) + days).toISOString().slice(0, 10)
      : `${new Date(Date.parse(stamp) + span).toISOString().slice(0, 19)}Z`,
  );
}

async function finished(api: Api, id: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    const run = await api.request<Run>('GET', `/api/runs/${id}`);
    if (run.state === 'completed') return;
    if (isTerminal(run.state))
      throw new Error(`Embedding the sample documents ended ${run.state}: ${run.error?.message}`);
    signal.throwIfAborted();
    await new Promise((wake) => setTimeout(wake, 250));
  }
}
