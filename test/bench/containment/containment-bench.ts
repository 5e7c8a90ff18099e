import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { ContainmentReceipt } from '@flowstate/contracts';
import { createIdentity, type Identity } from '@flowstate/security';
import { createClient, startPlatform, startRecorder, type Client } from '@flowstate/test';
import { Redis } from 'ioredis';
import type { Bench } from '../bench.ts';
import { startBenchStores } from '../stores.ts';
import { shown, tableOf } from '../table.ts';

const optionsText = `    --rounds N    containments (20)
    --sessions N  live sessions of the subject, with copies in Redis and refresh families (1000)
    --runs N      running runs of the subject (100)
    --streams N   event streams of the subject on each of two gateways (10)
    --queued N    runs of others that wait meanwhile (0)`;

const workflows = fileURLToPath(new URL('../../fixtures/workflows', import.meta.url));
const email = 'service@flowstate.local';

/** How long a containment takes, from the call until the last of two gateways and a worker obeys. */
export const containmentBench: Bench = {
  summary: 'containing a user with many sessions, streams and running runs, on two gateways and a worker',
  options: optionsText,
  async run(args, surroundings) {
    const { rounds, sessions, runs, streams, queued } = readOptions(args);
    const { cleanup, signal, log } = surroundings;
    const stores = await startBenchStores(surroundings);
    const platform = await startPlatform(cleanup, {
      workflows,
      stores,
      env: { WORKER_CONCURRENCY: String(runs) },
    });
    const other = await platform.addGateway();
    const recorder = await startRecorder(cleanup);
    const redis = new Redis(platform.redis.url);
    const identity = createIdentity({ sql: platform.database.sql, redis });
    cleanup.teardown(() => {
      identity.close();
      redis.disconnect();
    });
    const admin = await platform.as('admin');
    const login = (url: string) => createClient(url).login(email, platform.secrets.password);
    const input = { recorder: recorder.url, steps: 1 };
    for (let n = 0; n < queued; n += 100) {
      await many(100, () => admin.post('/api/workflows/doubling/runs', { input: { n: 1 }, delayMs: 3_600_000 }));
    }

    recorder.hold('step-1');
    const subject = await login(platform.gateway.url);
    const ids = await many(runs, async () => {
      const { body } = await subject.post<{ id: string }>('/api/workflows/recorded-steps/runs', { input });
      return body.id;
    });
    const { id: userId } = (await subject.get<{ id: string }>('/api/auth/me')).body;
    const obeyed: number[] = [];
    const answered: number[] = [];
    for (let round = 1; round <= rounds; round++) {
      signal.throwIfAborted();
      await recorder.called('step-1', runs * round);
      // As if the rounds were hours apart: gateways are told of what was revoked in the last minutes.
      await platform.database.sql`UPDATE sessions SET revoked_at = revoked_at - interval '1 hour'`;
      await openSessions(identity, userId, sessions - 2);
      const here = await login(platform.gateway.url);
      const there = await login(other.url);
      const run = ids[0] as string;
      const open = await Promise.all([here, there].flatMap((client) => follow(client, run, streams)));
      const began = performance.now();
      const { body } = await admin.post<ContainmentReceipt>('/api/admin/contain', {
        subject: `user:${email}`,
        reason: 'bench',
      });
      answered.push(performance.now() - began);
      if (body.obeyedMs === null) throw new Error(`not all obeyed: ${JSON.stringify(body)}`);
      obeyed.push(body.obeyedMs);
      await Promise.all(open.flat().map(({ ended }) => ended));
      const { sessions: ended, streams: closed, runs: held } = body;
      const last = body.processes
        .map(({ kind, obeyedMs }) => `${kind} ${Math.round(obeyedMs ?? Number.NaN)}`)
        .join(', ');
      log(`${round}: ${ended} sessions, ${closed} streams, ${held.running} running; obeyed after (ms): ${last}`);
      if (held.running !== runs) throw new Error(`${held.running} of ${runs} runs were running`);
      await admin.post('/api/admin/contain/release', { subject: `user:${email}` });
    }
    const row = (name: string, ms: readonly number[]) => [name, ...[0.5, 0.99, 1].map((p) => shown(quantile(ms, p)))];
    console.log(
      `\n${rounds} containments of ${sessions} sessions, ${2 * streams} streams, ${runs} running runs\n\n${tableOf(
        ['milliseconds until', 'p50', 'p99', 'worst'],
        [row('the last process obeys', obeyed), row('the receipt is there', answered)],
      )}`,
    );
  },
};

function readOptions(args: string[]): Record<'rounds' | 'sessions' | 'runs' | 'streams' | 'queued', number> {
  const string = (value: string) => ({ type: 'string', default: value }) as const;
  const { values } = parseArgs({
    args,
    options: {
      rounds: string('20'),
      sessions: string('1000'),
      runs: string('100'),
      streams: string('10'),
      queued: string('0'),
    },
  });
  const count = (name: keyof typeof values) => {
    const n = Number(values[name]);
    if (!Number.isInteger(n) || n < 0) throw new Error(`--${name} must be a number`);
    return n;
  };
  return {
    rounds: count('rounds'),
    sessions: count('sessions'),
    runs: count('runs'),
    streams: count('streams'),
    queued: count('queued'),
  };
}

async function openSessions(identity: Identity, userId: string, count: number): Promise<void> {
  const session = { userId, lifetime: 3600, userAgent: 'bench', address: null };
  for (let n = 0; n < count; n += 50) {
    await many(Math.min(50, count - n), () => identity.sessions.open(session, { refreshable: true }));
  }
}

/** Streams of one client that have begun; each resolves when it has ended. */
function follow(client: Client, run: string, count: number): Promise<{ ended: Promise<void> }[]> {
  return many(count, async () => {
    const begun = Promise.withResolvers<void>();
    const read = async () => {
      for await (const { event } of client.events(run)) if (event !== undefined) begun.resolve();
    };
    const ended = read();
    await begun.promise;
    return { ended };
  });
}

function many<T>(count: number, make: () => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, make));
}

function quantile(values: readonly number[], p: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(p * sorted.length) - 1)] ?? Number.NaN;
}
