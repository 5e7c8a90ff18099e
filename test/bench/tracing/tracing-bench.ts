import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Bench, Surroundings } from '../bench.ts';
import { createCleanup, type Cleanup } from '../cleanup.ts';
import { startProduct } from '../contenders/product.ts';
import { startLoad } from '../load/client.ts';
import { measureThroughput } from '../runs/throughput.ts';
import { settleStores, startBenchStores, type BenchStores } from '../stores.ts';
import { shown, tableOf } from '../table.ts';
import { medianOf } from '../medians.ts';

const optionsText = `    --pairs N      times that each is measured, one right after the other, the other one first each time (5)
    --sampled N    share of traces that are sent (0.1)
    --window S     seconds that are measured, after as many of warm-up (8)`;

type Figures = { runsPerSecond: number; cpuMs: number };

/** What traces cost: the same runs with telemetry off and on. */
export const tracingBench: Bench = {
  summary: 'what traces cost: the four-step run with telemetry off and on, in alternating pairs',
  options: optionsText,
  async run(args, surroundings) {
    const { pairs, sampled, windowMs } = readOptions(args);
    const stores = await startBenchStores(surroundings);
    const collector = await startSink(surroundings.cleanup);
    const on = {
      OTEL_ENABLED: 'true',
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
      OTEL_TRACES_SAMPLER_ARG: String(sampled),
    };
    const measured: { off: Figures; on: Figures }[] = [];
    for (let pair = 0; pair < pairs; pair++) {
      const measure = (env: Record<string, string>) => measureOnce(stores, env, windowMs, surroundings);
      const [first, second] = pair % 2 === 0 ? [{}, on] : [on, {}];
      const figures = [await measure(first), await measure(second)] as const;
      const [off, traced] = pair % 2 === 0 ? figures : ([figures[1], figures[0]] as const);
      measured.push({ off, on: traced });
      surroundings.log(
        `pair ${pair + 1} of ${pairs}: ${shown(off.runsPerSecond)} runs/s without, ${shown(traced.runsPerSecond)} with traces`,
      );
    }
    const median = (figure: (pair: (typeof measured)[number]) => number) => medianOf(measured.map(figure));
    const rows = [
      ['runs/s', median(({ off }) => off.runsPerSecond), median((pair) => pair.on.runsPerSecond)],
      ['CPU ms a run, all processes', median(({ off }) => off.cpuMs), median((pair) => pair.on.cpuMs)],
    ] as const;
    const kept = median((pair) => (100 * pair.on.runsPerSecond) / pair.off.runsPerSecond);
    const cpu = median((pair) => (100 * pair.on.cpuMs) / pair.off.cpuMs);
    console.log(
      `\n${sampled * 100} % of traces sent, medians of ${pairs} pairs\n\n${tableOf(
        ['', 'off', 'on'],
        rows.map(([name, off, traced]) => [name, shown(off), shown(traced)]),
      )}\n\nthroughput kept: ${shown(kept)} % (the median of the pairs' ratios; at least 90 % is promised)\n` +
        `CPU: ${shown(cpu)} %; ${collector.bytes()} bytes of traces came\n`,
    );
  },
};

async function measureOnce(
  stores: BenchStores,
  env: Record<string, string>,
  windowMs: number,
  { signal }: Surroundings,
): Promise<Figures> {
  const cleanup = createCleanup();
  try {
    await settleStores(stores);
    const running = await startProduct({ stores, cleanup, concurrency: 64 }, 'bench-four-steps', { env });
    const load = await startLoad({ cleanup, signal }, running.target, 128);
    await load.flood(128);
    await wait(windowMs, undefined, { signal });
    const { runsPerSecond, cpuMs } = await measureThroughput(stores, running.processes, load, { windowMs, signal });
    await load.stop();
    const { accepted } = await load.count();
    await running.checkFinished(accepted);
    return { runsPerSecond, cpuMs: cpuMs.all ?? Number.NaN };
  } finally {
    await cleanup.run();
  }
}

/** Takes traces and forgets them: what a collector does with them is none of our cost. */
async function startSink(cleanup: Cleanup): Promise<{ url: string; bytes(): number }> {
  let bytes = 0;
  const server = createServer((request, response) => {
    request.on('data', (chunk: Buffer) => (bytes += chunk.length)).on('end', () => response.end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanup.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, bytes: () => bytes };
}

function readOptions(args: string[]) {
  const { values } = parseArgs({
    args,
    options: { pairs: { type: 'string' }, sampled: { type: 'string' }, window: { type: 'string' } },
  });
  const number = (name: keyof typeof values, fallback: number, holds: (value: number) => boolean) => {
    const value = Number(values[name] ?? fallback);
    if (!holds(value)) throw new Error(`--${name} cannot be ${values[name]}`);
    return value;
  };
  return {
    pairs: number('pairs', 5, (value) => Number.isInteger(value) && value >= 1),
    sampled: number('sampled', 0.1, (value) => value >= 0 && value <= 1),
    windowMs: number('window', 8, (value) => value >= 1) * 1_000,
  };
}
