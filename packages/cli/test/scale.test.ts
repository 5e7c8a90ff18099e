import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import type { ScalingStatus } from '@flowstate/contracts';
import { startPlatform } from '@flowstate/test';
import t from 'tap';
import { runCli } from '../src/program.ts';

const platform = await startPlatform(t);
const folder = await mkdtemp(join(tmpdir(), 'flowstate-cli-'));
t.teardown(() => rm(folder, { recursive: true }));
const api = {
  FLOWSTATE_URL: platform.gateway.url,
  FLOWSTATE_EMAIL: 'admin@flowstate.local',
  FLOWSTATE_PASSWORD: platform.secrets.password,
};

async function flowstate(...args: string[]) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const { signal } = new AbortController();
  const localEnvFile = join(folder, 'none');
  const code = await runCli(args, { env: api, localEnvFile, stdin: Readable.from([]), stdout, stderr, signal });
  const text = async (stream: PassThrough) => (await stream.end().toArray()).join('');
  return { code, out: await text(stdout), err: await text(stderr) };
}

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
  const { out } = await flowstate('audit', 'list', '--json');
  t.match(out, /scaling\.overridden/);
  t.match(out, /scaling\.restored/);
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
  const override = (...args: string[]) => flowstate('scale', 'override', ...args, '--reason', 'for a test');
  t.match(await override('workflow', '--max', '1'), { code: 2, err: /workflows, documents/ });
  t.match(await override('workflows'), { code: 1, err: /min or max must be given/ });
  t.match(await override('workflows', '--min', '4', '--max', '3'), { code: 1, err: /min must not be above max, 3/ });
  t.match(await override('workflows', '--max', 'many'), { code: 1, err: /max must be integer/ });
  t.match(await override('workflows', '--max', '-1'), { code: 1, err: /max must be integer/ });
  t.match(await override('workflows', '--max', '1', '--for', 'ever'), { code: 2, err: /--for must be a time/ });
  t.match(await override('workflows', '--max', '1', '--for', '90d'), { code: 1, err: /seconds must be <= / });
  t.match(await flowstate('scale', 'override', 'workflows', '--max', '1'), { code: 2, err: /--reason/ });
  t.match(await flowstate('worker', 'verify'), { code: 2, err: /give --all, or --workers/ });
  t.match(await flowstate('worker', 'verify', '--workers', 'here'), { code: 2, err: /not "here"/ });
});

await t.test('customer-insights runs on each worker itself', async (t) => {
  t.match(await flowstate('worker', 'verify', '--all'), { code: 1, err: /no customer/ });
  const manager = await platform.as('manager');
  await manager.post('/api/customers', { externalId: 'C-1', name: 'Acme' });
  const second = await platform.addWorker();
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
  await second.kill('SIGTERM');
});
