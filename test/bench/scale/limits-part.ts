import { buildImage, nodeImage, noEngine } from '../../images/docker.ts';
import { image, services, type Service } from '../../images/targets.ts';
import type { Surroundings } from '../bench.ts';
import type { BenchStores } from '../stores.ts';
import { shown, tableOf } from '../table.ts';
import { measureLimits, type LimitsLevel } from './limits-level.ts';
import type { LevelPlan } from './workers-level.ts';

type Options = {
  of: readonly Service[];
  memoryMb: readonly number[];
  /** Shares of a core, each with a memory limit that is no matter. */
  cpus: readonly number[];
  plan: LevelPlan;
  embeds: boolean;
  stores: BenchStores;
} & Pick<Surroundings, 'signal' | 'log'>;

const ampleMb = 1024;

/** Services in containers with ever more memory, then with less than a core; nothing where no image can be built. */
export async function measureAllLimits({ of, memoryMb, cpus, log, ...rest }: Options): Promise<LimitsLevel[]> {
  const reason = await buildImages(of);
  if (reason !== undefined) {
    log(`no limits: ${reason}`);
    return [];
  }
  const measured: LimitsLevel[] = [];
  for (const service of of) {
    for (const limits of [
      ...memoryMb.map((mb) => ({ memoryMb: mb, cpus: null })),
      ...cpus.map((share) => ({ memoryMb: ampleMb, cpus: share })),
    ]) {
      const level = await measureLimits(service, limits, rest);
      measured.push(level);
      log(
        `${service}, ${limits.memoryMb} MiB, ${limits.cpus ?? 'all'} cores: ${level.end ?? `${shown(level.runsPerSecond)} runs/s, ${shown(level.peakMb)} MiB`}`,
      );
    }
  }
  return measured;
}

/** Builds what is to run in containers; the reason where that is not possible. */
export async function buildImages(of: readonly Service[]): Promise<string | undefined> {
  const reason = await noEngine();
  const base = reason === undefined ? await nodeImage() : { reason };
  if ('reason' in base) return base.reason;
  for (const target of of) await buildImage(target, { name: image(target), base: base.image });
  return undefined;
}

export function limitsTable(levels: LimitsLevel[]): string {
  if (levels.length === 0) return '';
  return tableOf(
    ['container', 'limit, MiB', 'cores', 'heap, MiB', 'runs/s', 'peak, MiB', 'of no file, MiB', 'came through'],
    levels.map(({ service, memoryMb, cpus, heapMb, runsPerSecond, peakMb, anonymousMb, end }) => [
      service,
      String(memoryMb),
      String(cpus ?? 'all'),
      String(heapMb),
      shown(runsPerSecond),
      shown(peakMb),
      shown(anonymousMb),
      end ?? 'yes',
    ]),
  );
}

/** Services by name, with commas between. Throws naming one there is not. */
export function readServices(text: string | undefined): readonly Service[] {
  if (text === undefined) return services;
  return text.split(',').map((name) => {
    const service = services.find((each) => each === name);
    if (service === undefined) throw new Error(`--services: there is no ${name}, only ${services.join(', ')}`);
    return service;
  });
}
