import { execFile } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findDistribution, unpackOnce } from '@flowstate/local';
import { requiredEnv } from './environment.ts';

/** Paths of the distribution's own programs. */
export type MonitoringPrograms = Record<'prometheus' | 'promtool' | 'amtool' | 'blackbox', string>;

const packages = ['prometheus', 'promtool', 'prometheus-alertmanager', 'prometheus-blackbox-exporter'];
/** What of these packages no test needs. */
const unused = ['prometheus-alertmanager'];
const run = promisify(execFile);

/** Prometheus and what belongs to it, fetched once into the cache; the reason where there is no way to get them. */
export async function findMonitoringPrograms(): Promise<MonitoringPrograms | string> {
  const { signal } = new AbortController();
  try {
    const from = await findDistribution(signal);
    const name = `monitoring-${from.family}-${from.release.suite}-${from.architecture}-1`;
    const home = join(requiredEnv('FLOWSTATE_CACHE'), name);
    await unpackOnce({
      home,
      title: 'Prometheus and Alertmanager',
      from,
      packages,
      async finish(root) {
        for (const part of readdirSync(root)) if (part !== 'usr') rmSync(join(root, part), { recursive: true });
        for (const part of readdirSync(join(root, 'usr')))
          if (part !== 'bin') rmSync(join(root, 'usr', part), { recursive: true });
        for (const program of unused) rmSync(join(root, 'usr/bin', program));
        // Built for another C library, they would fail here and not in the middle of a test.
        for (const program of readdirSync(join(root, 'usr/bin'))) {
          await run(join(root, 'usr/bin', program), ['--version'], { signal });
        }
      },
      log: () => {},
      signal,
      env: { PATH: process.env.PATH },
    });
    const bin = (program: string) => join(home, 'usr/bin', program);
    return {
      prometheus: bin('prometheus'),
      promtool: bin('promtool'),
      amtool: bin('amtool'),
      blackbox: bin('prometheus-blackbox-exporter'),
    };
  } catch (error) {
    return `no Prometheus to be had here: ${(error as Error).message}`;
  }
}
