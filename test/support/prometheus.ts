import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import type { MonitoringPrograms } from './monitoring-programs.ts';

export const prometheusFolder = fileURLToPath(new URL('../../deploy/prometheus/', import.meta.url));

type Options = {
  programs: MonitoringPrograms;
  /** Base addresses of the services, e.g. `http://127.0.0.1:41234`. */
  gateway: string;
  worker: string;
  controller: string;
  metricsToken: string;
};

export type Sample = { metric: Record<string, string>; value: [at: number, value: string] };
export type Rule = { type: 'alerting' | 'recording'; name: string; query: string; health: string; lastError?: string };
export type Target = { scrapePool: string; scrapeUrl: string; health: string; lastError: string };

export type Prometheus = {
  url: string;
  query(expr: string): Promise<Sample[]>;
  rules(): Promise<Rule[]>;
  targets(): Promise<Target[]>;
};

/** The repository's own configuration on real Prometheus and blackbox exporter, every second instead of every 15. */
export async function startPrometheus(t: Pick<Test, 'teardown'>, options: Options): Promise<Prometheus> {
  const { programs, metricsToken } = options;
  const folder = await mkdtemp(join(tmpdir(), 'flowstate-prometheus-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await cp(prometheusFolder, folder, { recursive: true });
  await writeFile(join(folder, 'metrics-token'), metricsToken);
  const shipped = { gateway: 'localhost:3001', worker: 'localhost:8000', controller: 'localhost:8090' };
  for (const name of ['gateway', 'worker', 'controller', 'probes']) {
    await replaceIn(
      join(folder, 'targets', `${name}.yml`),
      Object.entries(shipped).map(([service, address]) => [
        address,
        new URL(options[service as keyof typeof shipped]).host,
      ]),
    );
  }
  const listen = '--web.listen-address=127.0.0.1:0';
  // The blackbox exporter looks for its token file where it is started.
  const start = (command: string, ...args: string[]) =>
    startProgram(t, command, { args: [...args, listen], cwd: folder });
  const blackbox = await start(programs.blackbox, '--config.file=blackbox.yml');
  await replaceIn(join(folder, 'prometheus.yml'), [
    ['15s', '1s'],
    ['localhost:9115', blackbox],
    ['localhost:9093', '127.0.0.1:9'], // nobody's real Alertmanager
  ]);
  const address = await start(programs.prometheus, '--config.file=prometheus.yml', '--storage.tsdb.path=data');
  const url = `http://${address}`;
  // It listens before it has read what it kept.
  while ((await fetch(new URL('/-/ready', url))).status !== 200) await wait(50);

  async function ask<T>(path: string): Promise<T> {
    const response = await fetch(new URL(`/api/v1/${path}`, url));
    const answer = (await response.json()) as { status: string; error?: string; data: T };
    if (answer.status !== 'success') throw new Error(`${path}: ${answer.error}`);
    return answer.data;
  }
  return {
    url,
    query: async (expr) => (await ask<{ result: Sample[] }>(`query?query=${encodeURIComponent(expr)}`)).result,
    rules: async () => (await ask<{ groups: { rules: Rule[] }[] }>('rules')).groups.flatMap(({ rules }) => rules),
    targets: async () => (await ask<{ activeTargets: Target[] }>('targets?state=active')).activeTargets,
  };
}

async function replaceIn(file: string, replacements: (readonly [string, string])[]): Promise<void> {
  let text = await readFile(file, 'utf8');
  for (const [shipped, here] of replacements) text = text.replaceAll(shipped, here);
  await writeFile(file, text);
}

/** Starts it on a free port; returns `host:port` once it listens. */
async function startProgram(
  t: Pick<Test, 'teardown'>,
  command: string,
  { args, cwd }: { args: string[]; cwd: string },
): Promise<string> {
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'exit');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const said: string[] = [];
  for await (const line of createInterface(child.stderr)) {
    said.push(line);
    const address = /msg="?Listening on"? .*?address=(\S+)/.exec(line)?.[1];
    if (address === undefined) continue;
    child.stderr.resume();
    return address;
  }
  throw new Error(`${command} ended before it listened:\n${said.slice(-10).join('\n')}`);
}
