import type { Client } from './clients.ts';
import { followRun, type Following } from './follow.ts';
import { inLanes } from './lanes.ts';
import { newRecord, type RunRecord } from './run-record.ts';

export type KnownRun = RunRecord & { id: string };
type Listed = { id: string; input: Record<string, unknown> & { ticket?: string } };

const atOnce = 32;

/**
 * Finds in the ledger what nobody knew was accepted, what runs started themselves and what was forked from them,
 * follows it to its end, and misses what was answered 202.
 */
export async function reconcile(records: RunRecord[], options: Following): Promise<KnownRun[]> {
  const { client, findings, signal } = options;
  const known = new Map<string, KnownRun>();
  const byTicket = new Map(records.map((run) => [run.ticket, run]));
  const forks = new Map<string, number>();

  function identify({ id, input }: Listed): RunRecord | undefined {
    const { ticket = '' } = input;
    const run = byTicket.get(ticket);
    if (run === undefined) {
      const name = /[^.]+$/.exec(ticket)?.[0] ?? '';
      const parent = byTicket.get(ticket.slice(0, -name.length - 1));
      const kind = parent?.kind.children?.(parent.input)[name];
      if (kind === undefined) findings.add(`nobody asked for a run called ${ticket}`, id);
      else byTicket.set(ticket, newRecord({ kind, ticket, input }));
      return byTicket.get(ticket);
    }
    if (run.id === undefined || run.id === id) return run;
    const forked = (forks.get(ticket) ?? 0) + 1;
    if (run.kind.fork === undefined || forked > run.forks) {
      findings.add(`${ticket} was accepted twice: ${run.id} and ${id}`, id);
      return undefined;
    }
    forks.set(ticket, forked);
    return newRecord({ kind: run.kind.fork, ticket, input });
  }

  // What is followed to its end here may have been forked by its client.
  for (;;) {
    const fresh = (await listRuns(client)).filter(({ id }) => !known.has(id)).toReversed();
    for (const listed of fresh) {
      const run = identify(listed);
      if (run !== undefined) known.set(listed.id, Object.assign(run, { id: listed.id }));
    }
    const found = fresh.flatMap(({ id }) => known.get(id) ?? []);
    if (found.length === 0) break;
    const open = found.filter((run) => run.state === 'open' && !signal.aborted);
    await inLanes(open, atOnce, (run) => followRun(run, options).catch(() => {})); // the audit sees it is open
  }
  for (const run of records) {
    if (run.accepted && (run.id === undefined || !known.has(run.id)))
      findings.add(`${run.ticket} was answered 202 and is not in the ledger`, run.id);
  }
  return [...known.values()];
}

/** Newest first. */
async function listRuns(client: Client): Promise<Listed[]> {
  const all: Listed[] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const query: string = cursor === '' ? '' : `&cursor=${cursor}`;
    const { body } = await client.call<{ items: Listed[]; nextCursor: string | null }>(
      'GET',
      `/api/runs?limit=200${query}`,
    );
    all.push(...body.items);
    cursor = body.nextCursor;
  }
  return all;
}
