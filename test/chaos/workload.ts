import { setTimeout as wait } from 'node:timers/promises';
import { politeMs, type Client } from './clients.ts';
import type { FarEnd } from './far-end.ts';
import type { Findings } from './findings.ts';
import { followRun } from './follow.ts';
import type { Kind } from './kind.ts';
import type { Person } from './person.ts';
import type { Random } from '../support/random.ts';
import { newRecord, type RunRecord } from './run-record.ts';
import type { Webhooks } from './webhooks.ts';

type Options = {
  kinds: readonly Kind[];
  /** How many runs, spread evenly over `durationMs`. */
  runs: number;
  durationMs: number;
  clients: readonly Client[];
  person: Person;
  farEnd: FarEnd;
  webhooks: Webhooks;
  findings: Findings;
  random: Random;
  signal: AbortSignal;
  /** Filled as it goes. */
  done: Workload;
};

export type Workload = { records: RunRecord[]; replays: number };

/** Runs whose clients wait for them at the same time, at most. */
const lanes = 96;

/** Starts the mixed runs, follows each to its end; resolves when the last one has ended or is parked. */
export async function runWorkload(options: Options): Promise<void> {
  const { runs, durationMs, random, signal, findings } = options;
  const began = Date.now();
  const deck = options.kinds.flatMap((kind) => Array.from({ length: kind.weight }, () => kind));
  let next = 0;

  async function lane(): Promise<void> {
    while (next < runs) {
      const index = next++;
      await wait(Math.max(0, began + (index * durationMs) / runs - Date.now()), undefined, { signal });
      const own = random.fork(`run ${index}`);
      const client = own.pick(options.clients);
      const run = await startRun({ ...options, random: own, kind: own.pick(deck), client, name: `run-${index}` });
      await followRun(run, { ...options, client, random: own });
    }
  }
  const settled = await Promise.allSettled(Array.from({ length: lanes }, lane));
  for (const result of settled) {
    if (result.status === 'rejected' && !signal.aborted) findings.add(`the workload broke: ${String(result.reason)}`);
  }
}

type Start = Options & { kind: Kind; client: Client; name: string };

/** Starts a run until one is known to be accepted. What nobody knows of is kept: it may have been accepted all the same. */
async function startRun(options: Start): Promise<RunRecord & { id: string }> {
  const { kind, client, name, farEnd, webhooks, random, done, signal } = options;
  const { input, delayMs = 0 } = kind.start(random);
  const keyed = random.chance(0.5);
  const priority = random.between(0, 9);
  const webhook = random.chance(0.4);
  const refusing = random.chance(0.05);
  for (let attempt = 1; ; attempt++) {
    const ticket = `${name}.${attempt}`;
    const run = newRecord({ kind, ticket, input, delayMs, webhook });
    done.records.push(run);
    const body = {
      input: { ...input, farEnd: farEnd.url, ticket },
      priority,
      delayMs,
      tags: [ticket],
      ...(webhook && { webhookUrl: webhooks.urlFor(ticket, refusing) }),
    };
    const id = keyed ? await postKeyed(options, ticket, body) : await postOnce(options, body);
    if (id !== undefined) {
      run.accepted = true;
      return Object.assign(run, { id });
    }
    if (keyed) throw new Error(`${client.role} could not start ${ticket}`);
    await wait(politeMs(attempt, random), undefined, { signal });
  }
}

async function postOnce({ kind, client, random }: Start, body: object): Promise<string | undefined> {
  const headers = random.chance(0.1) ? { prefer: 'wait=5' } : {};
  const answer = await client.once<{ id: string }>('POST', pathOf(kind), { body, headers });
  return answer?.status === 202 || answer?.status === 200 ? answer.body.id : undefined;
}

/** The same key may come as often as the client likes, to either gateway, one after the other or at once. */
async function postKeyed({ kind, client, random, findings, done }: Start, key: string, body: object) {
  const times = random.chance(0.4) ? random.between(2, 3) : 1;
  const posts = Array.from({ length: times }, (_, at) =>
    client.call<{ id: string }>('POST', pathOf(kind), {
      body,
      headers: { 'idempotency-key': key },
      allow: [200, 202],
      at,
    }),
  );
  const ids = new Set((await Promise.all(posts)).map((answer) => answer.body.id));
  done.replays += times - 1;
  const [id] = ids;
  if (ids.size !== 1)
    findings.add(`${times} starts with the key ${key} made ${ids.size} runs: ${[...ids].join(', ')}`, id);
  return id;
}

function pathOf({ workflow }: Kind): string {
  return `/api/workflows/${workflow.name}/runs`;
}
