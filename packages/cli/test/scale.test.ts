import { watch } from 'node:fs';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ScalingStatus } from '@flowstate/contracts';
import { startPlatform, startWebhookReceiver, type ServiceProcess } from '@flowstate/test';
import t from 'tap';
import { flowstate as run } from './fixtures/run-cli.ts';

const tracker = await startWebhookReceiver(t);
const platform = await startPlatform(t, { env: { WEBHOOK_ALLOW_PRIVATE: 'true' } });
const folder = await mkdtemp(join(tmpdir(), 'flowstate-cli-'));
t.teardown(() => rm(folder, { recursive: true }));
const api: Record<string, string> = {
  FLOWSTATE_URL: platform.gateway.url,
  // One login stands for all commands: a password takes its time.
  FLOWSTATE_TOKEN: (await platform.as('admin')).token ?? '',
  // For the shells that a runbook's steps are given to.
  PATH: process.env.PATH ?? '',
  HOME: folder,
  NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? folder,
  INCIDENT_WEBHOOK_URL: `${tracker.url}/tracker`,
};
const flowstate = (...args: string[]) => run(args, { env: api });

/** What is decided, once it is as waited for. */
async function statusWhen(holds: (workflows: ScalingStatus) => boolean): Promise<void> {
  for (;;) {
    const { out } = await flowstate('scale', 'status', '--json');
    const found = (JSON.parse(out) as ScalingStatus[]).find(({ queue }) => queue === 'workflows');
    if (found !== undefined && holds(found)) return;
    await wait(50); // the machine is left to those who decide
  }
}

await t.test('an override is set, seen, verified as a difference and restored; all of it is audited', async (t) => {
  await statusWhen(({ state }) => state?.liveWorkers === 1);
  t.match(await flowstate('scale', 'status'), { code: 0, out: /workflows +0 +idle +1 .* 0 to 100\n/ });
  t.match(await flowstate('scale', 'verify'), { code: 0, out: /Scaling is normal/ });

  const reason = ['--reason', 'a launch today'];
  const set = await flowstate('scale', 'override', 'workflows', '--min', '3', '--for', '2h', ...reason);
  t.match(set, { code: 0, out: /^workflows: min 3 until 2/ }, set.err);
  await statusWhen(({ state }) => state?.desired === 3);
  t.match(await flowstate('scale', 'status'), { out: /workflows +3 +override .* overridden: min 3 until/ });
  t.match(await flowstate('scale', 'verify'), {
    code: 1,
    out: /^workflows: overridden by admin@flowstate\.local until .*: min 3 \(a launch today\)\n$/,
  });
  t.match(await flowstate('scale', 'restore'), { code: 0, out: 'Restored: workflows\n' });
  t.match(await flowstate('scale', 'restore'), { code: 0, out: 'There was no override.\n' });
  await statusWhen(({ state }) => state?.desired === 0);
  t.match(await flowstate('scale', 'verify'), { code: 0 });
  for (const action of ['scaling.overridden', 'scaling.restored']) {
    t.match(await flowstate('audit', 'list', '--action', action), { out: new RegExp(`${action} +success`) });
  }
});

await t.test('what an installation means to have otherwise is normal there', async (t) => {
  await platform.controller.kill('SIGTERM');
  await platform.controller.restart({ SCALING_POLICY: '{"workflows":{"max":40}}' });
  await statusWhen(({ state }) => state?.policy.max === 40);
  t.match(await flowstate('scale', 'verify'), { code: 1, out: 'workflows: max is 40, normal is 100\n' });
  const file = join(folder, 'policy.json');
  await writeFile(file, '{"workflows":{"max":40}}');
  t.match(await flowstate('scale', 'verify', '--policy', file), { code: 0 });
  await writeFile(file, '{"workflows":{"most":40}}');
  t.match(await flowstate('scale', 'verify', '--policy', file), { code: 2, err: /policy.workflows.most/ });
});

await t.test('bad input is named', async (t) => {
  await platform.controller.kill('SIGTERM');
  await platform.controller.restart({ SCALING_POLICY: '{}' });
  t.match(await flowstate('check', 'replicas', '--gateways', 'two'), { code: 2, err: /--gateways must be a whole/ });
  t.match(await flowstate('scale', 'propose', '--during', 'long'), { code: 2, err: /--during must be a time/ });
  const override = (...args: string[]) => flowstate('scale', 'override', ...args, '--reason', 'for a test');
  t.match(await override('workflow', '--max', '1'), { code: 2, err: /workflows, documents/ });
  t.match(await override('workflows'), { code: 1, err: /min or max must be given/ });
  t.match(await override('workflows', '--min', '4', '--max', '3'), { code: 1, err: /min must not be above max, 3/ });
  t.match(await override('workflows', '--max', 'many'), { code: 1, err: /max must be integer/ });
  t.match(await override('workflows', '--max', '-1'), { code: 1, err: /max must be >= 0/ });
  t.match(await override('workflows', '--max', '1', '--for', 'ever'), { code: 2, err: /--for must be a time/ });
  t.match(await override('workflows', '--max', '1', '--for', '90d'), { code: 1, err: /seconds must be <= / });
  t.match(await flowstate('scale', 'override', 'workflows', '--max', '1'), { code: 2, err: /--reason/ });
  t.match(await flowstate('worker', 'verify'), { code: 2, err: /give --all, or --workers/ });
  t.match(await flowstate('worker', 'verify', '--workers', 'here'), { code: 2, err: /not "here"/ });
});

let second: ServiceProcess;

await t.test('customer-insights runs on each worker itself', async (t) => {
  t.match(await flowstate('worker', 'verify', '--all'), { code: 1, err: /no customer/ });
  const manager = await platform.as('manager');
  await manager.post('/api/customers', { externalId: 'C-1', name: 'Acme' });
  second = await platform.addWorker();
  // It publishes its address once it listens.
  while (!(await flowstate('worker', 'list')).out.includes(second.url)) await wait(50);
  const all = await flowstate('worker', 'verify', '--all');
  const line = /^ok: worker \d+ \(.+:\d+\) at http:\/\/127\.0\.0\.1:\d+: run [\w-]+ completed \(\d+\.\d s\)$/;
  t.equal(all.code, 0, all.out + all.err);
  const lines = all.out.trim().split('\n');
  t.equal(lines.length, 2);
  for (const each of lines) t.match(each, line);
  for (const { url } of [platform.worker, second]) t.match(all.out, url);
  t.match(await flowstate('worker', 'list'), { code: 0, out: new RegExp(second.url) });

  const gone = 'http://127.0.0.1:9';
  const some = await flowstate('worker', 'verify', '--workers', `${second.url},${gone}`, '--customer', 'C-1');
  t.match(some, { code: 1, out: /^ok: worker http.*\nNOT OK: worker http:\/\/127\.0\.0\.1:9: no answer/ });
});

type Step = { title: string; state: string; why: string | null; evidence: string; changes: string | null };

await t.test('every step of the runbook is done and does what it says', async (t) => {
  const metrics = (...services: ServiceProcess[]) =>
    services.map(({ url }) => `${url}${url === platform.worker.url || url === second.url ? '' : '/api'}/metrics`);
  const { gateway, worker, controller } = platform;
  api.METRICS_URLS = [...metrics(gateway, worker, second), `${controller.url}/metrics`].join();
  const another = await platform.addGateway();
  const admin = await platform.as('admin');
  // It is in the ledger a moment after it listens.
  while ((await admin.get<{ items: object[] }>('/api/admin/gateways')).body.items.length < 2) await wait(50);
  const unseen = await flowstate('check', 'replicas', '--within', '0s');
  t.match(unseen, { code: 1, out: /gateways scraped +NOT OK +1 of 2 running, not gateway \d+ \(.+:\d+\)/ });
  t.match(unseen.out, /→ gateways scraped: .*METRICS_URLS/);
  api.METRICS_URLS += `,${metrics(another).join()}`;
  t.match(await flowstate('check', 'replicas'), { code: 0, out: /2 gateways and 2 workers run/ });

  // What scales a gateway on some platform: it is told to, and some time later there is one more.
  const asked = watch(folder, { persistent: false }, (_event, file) => {
    if (file === 'asked' && !another.running()) void another.restart();
  });
  t.teardown(() => asked.close());
  const file = join(folder, 'scaling.md');
  await copyFile(fileURLToPath(new URL('../../../deploy/runbooks/scaling.md', import.meta.url)), file);
  const variables = {
    WORKERS: '2',
    GATEWAYS: '2',
    SCALE_GATEWAY: `echo more > ${folder}/asked`,
    RESIZE: `kill -0 ${process.pid}`,
    LIMITS: 'maxSearchLimit=5 minSearchThreshold=0.4',
    RATE: '6000',
    DURING: '1s',
    RUNBOOK: file,
    LESSON: 'Two gateways are not enough on Fridays',
  };
  const set = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  const planned = await flowstate('runbook', 'scaling', '--dry-run', '--json');
  const looked = (JSON.parse(planned.out) as { steps: Step[] }).steps;
  t.same([...new Set(looked.map(({ changes, state }) => `${state}: ${changes === null}`))].toSorted(), [
    'skipped: false',
    'would run: true',
  ]);

  const args = ['--act', '--yes', '--incident', join(folder, 'evidence'), '--set', ...set, '--json'];
  const followed = await flowstate('runbook', file, ...args);
  const { steps } = JSON.parse(followed.out) as { steps: Step[] };
  const told = steps
    .filter(({ state }) => state !== 'passed')
    .map(({ title, state, why, evidence }) => `${state}: ${title} (${why})\n${evidence}`);
  t.same(told, []);
  t.equal(followed.code, 0, followed.err);
  const evidence = (title: string) => steps.find((step) => step.title.startsWith(title))?.evidence ?? '';
  t.match(evidence('Throughput'), /gateway +\d +\d +⌈[\d.]+ cores in use \/ \(1 core · 0\.7\)⌉ = \d/);
  t.match(evidence('Throughput'), /worker \(workflows\) +2 +\d +max\(⌈\d+ \/ \(16·0\.8\)⌉ = \d, ⌈\(/);
  t.match(evidence('Each worker'), /^ok: worker [^]*\nok: worker /);
  t.match(evidence('CPU and memory'), /heap \d+ MiB of \d+ MiB/);

  await another.kill('SIGTERM');
  const scaled = await flowstate('runbook', file, '--only', 'ask the platform', ...args);
  t.equal(scaled.code, 0, scaled.out);
  t.ok(another.running(), 'and waited for');
  t.match(await flowstate('flags', 'list', '--json'), { out: /"name": "import",\s+"value": true/ });
  t.match((await tracker.received('/tracker'))[0]?.body, /Two gateways are not enough/);
  const text = await readFile(file, 'utf8');
  t.match(text, /<!-- baselines -->\n\n\| date [^]*\n\| 20\d\d-\d\d-\d\d \| \S+ \| [^]*\n\n<!-- \/baselines -->/);
  t.match(await flowstate('scale', 'baseline', '--file', join(folder, 'none'), '--write'), { code: 2, err: /--file/ });
});
