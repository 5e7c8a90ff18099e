import { setTimeout as wait } from 'node:timers/promises';
import {
  createHpa,
  hpaSyncSeconds,
  replicasForAverageValue,
  seeded,
  type Arrival,
  type Behaviour,
  type Look,
  type Outcome,
} from '@flowstate/scaling';
import { createKedaClient } from '../../../services/controller/test/fixtures/keda-client.ts';
import { readScalingStates } from '@flowstate/store';
import type { Cleanup } from '../cleanup.ts';
import type { RunningProduct } from '../contenders/product.ts';
import { createPods } from './pods.ts';

export type RealOutcome = Pick<Outcome, 'runs' | 'wait' | 'peakWaiting' | 'peakReplicas' | 'workerHours'> & {
  /** With how old what was told was. */
  looks: (Look & { decidedSecondsAgo: number })[];
  samples: { at: number; waiting: number; replicas: number }[];
  startUpSeconds: number[];
  drainSeconds: number[];
  /** From the first answer 202: until the scaler told of it, and until its first step began. */
  wake: { toldSeconds: number; begunSeconds: number };
};

type Options = {
  product: RunningProduct;
  scaler: { address: string; token: string };
  max: number;
  behaviour: Behaviour;
  cooldownSeconds: number;
  cleanup: Cleanup;
  signal: AbortSignal;
};

/** How often KEDA looks by itself, in seconds. */
const kedaPollSeconds = 30;

/** Sends the trace over HTTP and does with processes what KEDA and the HPA do with pods, by what the scaler says. */
export async function runForReal(arrivals: readonly Arrival[], options: Options): Promise<RealOutcome> {
  const { product, scaler, max, behaviour, cooldownSeconds, cleanup, signal: stop } = options;
  const { sql } = product.database;
  const broken = new AbortController();
  const signal = AbortSignal.any([stop, broken.signal]);
  const pods = createPods(product, { cleanup, random: seeded(1), onFailure: (error) => broken.abort(error) });
  const keda = createKedaClient(cleanup, scaler.address);
  const trigger = { queue: 'workflows' };
  const hpa = createHpa(behaviour, { min: 1, max });
  const samples: RealOutcome['samples'] = [];
  const looks: RealOutcome['looks'] = [];
  const begun = performance.now();
  const now = () => (performance.now() - begun) / 1000;
  let [acceptedAt, toldAt, activeAt] = [Number.NaN, Number.NaN, 0];

  const stream = keda.stream(trigger, { token: scaler.token });
  void (async () => {
    while (!signal.aborted) {
      await stream.next();
      if (Number.isNaN(toldAt)) toldAt = now();
      activeAt = now();
      if (pods.replicas() === 0) pods.scaleTo(1);
    }
  })();

  /** KEDA's own look, beside the HPA's: to zero when nothing was to do for as long as the cool-down. */
  async function coolDown(): Promise<void> {
    const { code, answer } = await keda.call('IsActive', trigger, { token: scaler.token });
    if (code !== 'OK') return;
    if (answer?.['result'] === true) activeAt = now();
    else if (pods.replicas() > 0 && now() - activeAt > cooldownSeconds) pods.scaleTo(0);
  }

  async function send({ at, serviceSeconds }: Arrival): Promise<void> {
    await wait(Math.max(0, (at - now()) * 1000), undefined, { signal });
    const { url, headers } = product.target;
    const response = await fetch(new URL('/api/workflows/bench-held-place/runs', url), {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({ input: { ms: Math.max(1, Math.round(serviceSeconds * 1000)) } }),
      signal,
    });
    if (response.status !== 202) throw new Error(`a run was answered ${response.status}: ${await response.text()}`);
    await response.arrayBuffer();
    if (Number.isNaN(acceptedAt)) acceptedAt = now();
  }

  /** `at`: by its grid, so that no millisecond decides whether a look that long ago still counts. */
  async function sync(at: number): Promise<void> {
    const askedAt = Date.now();
    const { code, answer } = await keda.call('GetMetrics', trigger, { token: scaler.token });
    // Nobody knows right now: the HPA leaves things as they are.
    if (code !== 'OK') return;
    const [{ metricValueFloat = Number.NaN } = {}] = (answer?.['metricValues'] ?? []) as {
      metricValueFloat?: number;
    }[];
    const replicas = pods.replicas();
    if (replicas === 0) return;
    const set = hpa.decide(replicasForAverageValue(metricValueFloat, 1, replicas), replicas, at);
    pods.scaleTo(set);
    const decided = (await readScalingStates(sql)).get('workflows')?.state;
    if (decided === undefined) return;
    const { active, waiting, arrivalPerSecond, serviceSeconds, computedAt } = decided;
    const decidedSecondsAgo = (askedAt - Date.parse(computedAt)) / 1000;
    looks.push({ at, set, replicas, active, waiting, arrivalPerSecond, serviceSeconds, decidedSecondsAgo });
  }

  const over = new AbortController();
  const stopped = AbortSignal.any([signal, over.signal]);
  const watching = (async () => {
    for (let second = 0; !stopped.aborted; second++) {
      const [row] = await sql<{ waiting: number }[]>`SELECT count(*)::int AS waiting FROM run_live WHERE owner IS NULL`;
      if (second % hpaSyncSeconds === 0) await sync(second);
      if (second % kedaPollSeconds === 0) await coolDown();
      samples.push({ at: now(), waiting: row?.waiting ?? 0, replicas: pods.replicas() });
      await wait(Math.max(0, (second + 1 - now()) * 1000), undefined, { signal: stopped }).catch(() => {});
    }
  })();
  const sent = Promise.all(arrivals.map(send));
  await Promise.race([sent, watching]);
  for (let left = arrivals.length; left > 0;) {
    signal.throwIfAborted();
    const [row] = await sql<{ ended: number }[]>`SELECT count(*)::int AS ended FROM run_ends WHERE state = 'completed'`;
    left = arrivals.length - (row?.ended ?? 0);
    await wait(500, undefined, { signal });
  }
  // Until nobody is left: what comes after the burst is compared, too.
  while (pods.replicas() > 0) await wait(500, undefined, { signal });
  over.abort();
  await watching;
  samples.push({ at: now(), waiting: 0, replicas: 0 });
  stream.cancel();
  const waits = await sql<{ seconds: number; startedAt: Date }[]>`
    SELECT extract(epoch FROM e.started_at - r.created_at)::float8 AS seconds, e.started_at AS "startedAt"
    FROM run_ends e JOIN runs r USING (id) ORDER BY e.started_at`;
  const sorted = waits.map(({ seconds }) => seconds).toSorted((a, b) => a - b);
  const quantile = (q: number) => sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? 0;
  const workerHours = pods.podSeconds() / 3600;
  const outcome = {
    runs: arrivals.length,
    wait: { p50: quantile(0.5), p95: quantile(0.95), max: sorted.at(-1) ?? 0 },
    peakWaiting: Math.max(...samples.map(({ waiting }) => waiting)),
    peakReplicas: Math.max(...samples.map(({ replicas }) => replicas)),
    workerHours,
    samples,
    looks,
    wake: { toldSeconds: toldAt - acceptedAt, begunSeconds: waits[0]?.seconds ?? Number.NaN },
  };
  await pods.settled();
  return { ...outcome, startUpSeconds: pods.startUps, drainSeconds: pods.drains };
}
