import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { setTimeout as wait } from 'node:timers/promises';
import {
  byDesiredWorkers,
  connectionsPerWorker,
  defaultPolicies,
  ourBehaviour,
  poissonArrivals,
  seeded,
  simulate,
} from '@flowstate/scaling';
import type { Bench, Surroundings } from '../bench.ts';
import { freePort } from '../../../deploy/local/src/ports.ts';
import { createCleanup } from '../cleanup.ts';
import { startProduct } from '../contenders/product.ts';
import { medianOf } from '../medians.ts';
import { startBenchStores, type BenchStores } from '../stores.ts';
import { runForReal } from './real-run.ts';
import { reportOf } from './report.ts';

const optionsText = `    --duration S   seconds of the trace (180); half a minute of burst begins after 30, or after --burst-at S
    --burst N      runs a second in the burst (6), beside half a run a second all the time
    --service S    mean time a run holds its place (2)
    --places N     of one worker (4)
    --max N        workers at most (8)
    --stabilisation S, --cooldown S  of the HPA downwards and of KEDA to zero (120 and 300, as the manifests have it): less
                   of both shows the whole way down in less time`;

/** How old, in seconds, what the HPA is told can be: the controller decides each second, at any time within it. */
const decidedAgo = [0, 0.2, 0.4, 0.6, 0.8];

/** The simulator's prediction beside a real run: the same trace, the real scaler, processes for pods. */
export const autoscaleBench: Bench = {
  summary: 'the simulator checked: one trace with processes for pods, following the scaler as KEDA and the HPA do',
  options: optionsText,
  async run(args, surroundings) {
    const { duration, burst, 'burst-at': burstAt, service, places, max, stabilisation, cooldown } = readOptions(args);
    const { cleanup, signal, log } = surroundings;
    const stores = await startBenchStores(surroundings);
    const drain = await measureDrain(stores, 16, surroundings);
    log(`a worker with ${drain.runs} runs in hand drained in ${drain.seconds.toFixed(2)} s`);
    const scaler = { address: `127.0.0.1:${await freePort()}`, token: randomBytes(32).toString('base64url') };
    const product = await startProduct({ stores, cleanup, concurrency: places }, 'bench-held-place', {
      worker: false,
      env: {
        SCALER_TOKEN: scaler.token,
        SCALER_PORT: scaler.address.replace(/^.*:/, ''),
        SCALING_POLICY: JSON.stringify({ workflows: { max, concurrency: places } }),
      },
    });
    // Somebody must have published the workflow before its first run can be accepted.
    const first = createCleanup();
    await product.startWorker(first);
    await first.run();
    const shape = {
      durationSeconds: duration,
      base: 0.5,
      bursts: [{ rate: burst, seconds: 30, at: burstAt }],
      serviceSeconds: service,
    };
    const arrivals = poissonArrivals(shape, seeded(1));
    log(`${arrivals.length} runs over ${duration} s …`);
    const scaleDown = { ...ourBehaviour.scaleDown, stabilisationSeconds: stabilisation };
    const downwards = { behaviour: { ...ourBehaviour, scaleDown }, cooldownSeconds: cooldown };
    const real = await runForReal(arrivals, { product, scaler, max, ...downwards, cleanup, signal });
    const startUpSeconds = medianOf(real.startUpSeconds) ?? 1;
    const policy = {
      ...defaultPolicies.workflows,
      max,
      concurrency: places,
      connections: { budget: max * connectionsPerWorker, perWorker: connectionsPerWorker },
    };
    // What this machine takes for a start is given to the simulator: it does not predict that.
    const pool = { concurrency: places, startUpSeconds, startUps: real.startUpSeconds, stepSeconds: 0.5 };
    const predictions = decidedAgo.map((decidedSecondsAgo) =>
      simulate(arrivals, { ...byDesiredWorkers(policy, downwards), marksPods: false }, pool, { decidedSecondsAgo }),
    );
    console.log(reportOf(real, predictions));
  },
};

/** SIGTERM to the end of a worker all of whose places are taken, by runs of half a minute in steps of half a second. */
async function measureDrain(
  stores: BenchStores,
  concurrency: number,
  { signal }: Surroundings,
): Promise<{ runs: number; seconds: number }> {
  const cleanup = createCleanup();
  try {
    const product = await startProduct({ stores, cleanup, concurrency }, 'bench-held-place', { worker: false });
    const worker = createCleanup();
    await product.startWorker(worker);
    const { url, headers, path } = product.target;
    const held = async () => {
      const [row] = await product.database.sql<{ runs: number }[]>`
        SELECT count(*)::int AS runs FROM run_live WHERE owner IS NOT NULL`;
      return row?.runs ?? 0;
    };
    // The catalogue reaches a gateway a moment after the worker has published it.
    for (let accepted = 0; accepted < 2 * concurrency;) {
      const { status } = await fetch(new URL(path, url), {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: JSON.stringify({ input: { ms: 30_000 } }),
        signal,
      });
      if (status === 202) accepted += 1;
      else await wait(100, undefined, { signal });
    }
    while ((await held()) < concurrency) await wait(50, undefined, { signal });
    const runs = await held();
    const told = performance.now();
    await worker.run();
    const seconds = (performance.now() - told) / 1000;
    if ((await held()) > 0) throw new Error('a drained worker left runs in its name');
    return { runs, seconds };
  } finally {
    await cleanup.run();
  }
}

function readOptions(args: string[]) {
  const defaults = {
    duration: 180,
    burst: 6,
    'burst-at': 30,
    service: 2,
    places: 4,
    max: 8,
    stabilisation: ourBehaviour.scaleDown.stabilisationSeconds,
    cooldown: 300,
  };
  const { values } = parseArgs({
    args,
    options: Object.fromEntries(Object.keys(defaults).map((name) => [name, { type: 'string' as const }])),
  });
  const read = Object.entries(defaults).map(([name, fallback]) => {
    const value = Number(values[name] ?? fallback);
    if (!(value > 0)) throw new Error(`--${name} must be above 0, not ${String(values[name])}`);
    return [name, value];
  });
  return Object.fromEntries(read) as typeof defaults;
}
