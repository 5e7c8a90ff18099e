import { startStandby } from '@flowstate/test';
import type { Surroundings } from '../bench.ts';
import { startProcess, type BenchProcess } from '../bench-process.ts';
import type { RunningProduct } from '../contenders/product.ts';
import type { Measured } from '../runs/in-turn.ts';
import type { BenchStores } from '../stores.ts';
import { shown, tableOf } from '../table.ts';
import { measureAsked, uncachedRoute, type Figures } from './measure.ts';
import type { SearchPlan } from './options.ts';

type Options = {
  product: RunningProduct;
  /** What the product's gateway was started with. */
  gatewayEnv: Record<string, string>;
  queries: readonly Float32Array[];
  plan: SearchPlan;
  stores: BenchStores;
} & Surroundings;

/** The same searches by the product's gateway and by one more that has a streaming standby to ask. */
export async function measureReplica(options: Options): Promise<Measured<Figures>> {
  const { product, gatewayEnv, queries, plan, cleanup, ...rest } = options;
  const standby = await startStandby(cleanup, product.databaseUrl);
  const replicated = await startProcess(cleanup, {
    name: 'gateway-with-replica',
    file: 'services/gateway/src/main.ts',
    env: { ...gatewayEnv, SEARCH_DATABASE_URL: standby.url },
    ready: '/api/ready',
  });
  const { headers } = product.target;
  const asked = (process: BenchProcess | undefined) => () =>
    uncachedRoute({ url: process?.url ?? '', path: '/api/search/semantic', headers }, queries, plan.concurrency);
  const [gateway] = product.processes;
  const measured = await measureAsked(
    [
      { name: 'primary alone', process: gateway, questions: asked(gateway), standby },
      { name: 'with a replica', process: replicated, questions: asked(replicated), standby },
    ],
    plan,
    rest,
  );
  await checkReadThere(replicated);
  return measured;
}

/** Throws when any of these searches was answered by the primary: the figures would be of something else. */
async function checkReadThere({ url }: BenchProcess): Promise<void> {
  const metrics = await (await fetch(new URL('/api/metrics', url))).text();
  const reads = (result: string) =>
    Number(
      new RegExp(`^vector_search_replica_reads_total\\{.*result="${result}".*\\} (\\d+)`, 'm').exec(metrics)?.[1] ?? 0,
    );
  if (reads('replica') === 0 || reads('away') > 0 || reads('behind') > 0) {
    throw new Error(`read from the replica ${reads('replica')}, behind ${reads('behind')}, away ${reads('away')}`);
  }
}

export function replicaTable({ medians }: Measured<Figures>): string {
  return tableOf(
    ['uncached searches', 'a second', 'p50, ms', 'gateway CPU, ms', 'primary CPU, ms', 'standby CPU, ms'],
    Object.entries(medians).map(([name, { perSecond, p50, serverCpuMs, postgresCpuMs, standbyCpuMs }]) => [
      name,
      ...[perSecond, p50, serverCpuMs, postgresCpuMs, standbyCpuMs].map(shown),
    ]),
  );
}
