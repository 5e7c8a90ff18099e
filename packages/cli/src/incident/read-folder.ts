import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { IncidentDelivery } from '@flowstate/contracts';
import { CommandError, exitCodes } from '../terminal.ts';
import type { IncidentRecord } from './summary.ts';

/** What `incident capture` left in a folder; throws `CommandError` for any other. */
export async function readIncident(folder: string): Promise<IncidentRecord> {
  try {
    const record = JSON.parse(await readFile(join(folder, 'incident.json'), 'utf8')) as Partial<IncidentRecord>;
    if (typeof record.id !== 'string' || typeof record.markdown !== 'string') throw new Error('it is not complete');
    return record as IncidentRecord;
  } catch (error) {
    const why = `${folder} is no folder of flowstate incident capture: incident.json: ${(error as Error).message}`;
    throw new CommandError(why, exitCodes.usage);
  }
}

/** The messages that were delivered from this folder so far. */
export async function readDelivered(folder: string): Promise<IncidentDelivery[]> {
  const text = await readFile(join(folder, 'deliveries.jsonl'), 'utf8').catch(() => '');
  const sent = text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as IncidentDelivery);
  return sent.filter(({ error }) => error === null);
}

/** Adds to the folder's log of deliveries. */
export async function logDeliveries(folder: string, deliveries: IncidentDelivery[]): Promise<void> {
  const lines = deliveries.map((delivery) => `${JSON.stringify(delivery)}\n`).join('');
  await appendFile(join(folder, 'deliveries.jsonl'), lines, { mode: 0o600 });
}
