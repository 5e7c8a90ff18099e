import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startPlatform } from '@flowstate/test';
import t, { type Test } from 'tap';
import { flowstate as run } from './fixtures/run-cli.ts';

const platform = await startPlatform(t);
const manager = await platform.as('manager');
const folder = await mkdtemp(join(tmpdir(), 'flowstate-cli-'));
t.teardown(() => rm(folder, { recursive: true }));
const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const practice = fileURLToPath(new URL('fixtures/practice', import.meta.url));
const login = {
  FLOWSTATE_URL: platform.gateway.url,
  FLOWSTATE_EMAIL: 'manager@flowstate.local',
  FLOWSTATE_PASSWORD: platform.secrets.password,
};

const flowstate = (args: string[], options: Parameters<typeof run>[1] = {}) => run(args, { env: login, ...options });

async function fileOf(name: string, content: string): Promise<string> {
  await writeFile(join(folder, name), content);
  return join(folder, name);
}

type Opportunity = {
  stage: string;
  product: string;
  amount: number | null;
  history: unknown[];
  openedAt: string | null;
};

async function opportunitiesOf(account: string): Promise<Opportunity[]> {
  const { body } = await manager.get<{ items: Opportunity[] }>(`/api/customers/${account}/opportunities?limit=200`);
  return body.items;
}

await t.test('the practice set is imported by one command, and again', async (t) => {
  const first = await flowstate(['import', 'crm-practice', practice]);
  t.equal(first.code, 0, first.err);
  t.match(first.out, 'accounts.csv → customers: 3 rows, 3 new, 0 updated, 0 unchanged, 0 rejected');
  t.match(first.out, 'sales_pipeline.csv → opportunities: 11 rows, 9 new, 0 updated, 0 unchanged, 2 rejected');
  t.match(first.out, '2 × customer is required (column account)');
  t.match(first.out, 'Note: Opportunities without an account');
  t.same(
    first.err
      .trim()
      .split('\n')
      .map((line) => line.trim()),
    [
      'line 10 (P0000009): customer is required (column account)',
      'line 11 (P0000010): customer is required (column account)',
    ],
  );
  const second = await flowstate(['import', 'crm-practice', practice, '--strict']);
  t.equal(second.code, 3, 'rows were rejected, and --strict says so');
  t.match(second.out, '3 rows, 0 new, 0 updated, 3 unchanged, 0 rejected');
  t.match(second.out, '11 rows, 0 new, 0 updated, 9 unchanged, 2 rejected');
});

// Counted by hand from the eleven lines of fixtures/practice/sales_pipeline.csv.
await t.test('what was imported equals the figures counted by hand', async (t) => {
  t.match((await manager.get('/api/customers/Norrwick')).body, {
    name: 'Norrwick',
    industry: 'technology',
    country: 'Philippines',
    employees: 2822,
    annualRevenue: 1_100_040_000,
    since: '1996-01-01',
  });
  const deals = await opportunitiesOf('Norrwick');
  const won = deals.filter(({ stage }) => stage === 'won');
  t.equal(deals.length, 6);
  t.equal(won.length, 3);
  t.equal(deals.filter(({ stage }) => stage === 'lost').length, 1);
  t.equal(
    won.reduce((sum, { amount }) => sum + (amount ?? 0), 0),
    9385,
  );
  t.equal(deals.filter(({ product }) => product === 'GTX Pro').length, 3, 'one product under two spellings');
  const prospect = deals.find(({ stage }) => stage === 'prospecting');
  t.match(prospect, { openedAt: null, amount: null, history: [] });
  t.match(
    deals.find(({ stage }) => stage === 'engaging'),
    {
      amount: null,
      history: [{ stage: 'engaging', at: '2017-08-12T00:00:00.000Z' }],
    },
  );
  const { body } = await manager.get<{ items: { dimension: string; value: string }[] }>(
    '/api/opportunities/base-rates',
  );
  const rate = (dimension: string, value: string) =>
    body.items.find((item) => item.dimension === dimension && item.value === value);
  t.match(rate('all', ''), { closed: 7, won: 4, wonAmount: 9973, wonWithAmount: 4 });
  t.match(rate('stage', 'engaging'), { closed: 7, won: 4 });
  t.match(rate('product', 'GTX Pro'), { closed: 2, won: 2, wonAmount: 9335 });
  t.match(rate('owner', 'Omar Reyes'), { closed: 3, won: 1, wonAmount: 50 });
  t.match(rate('age', '0-30'), { closed: 3, won: 2 }, '15, 27 and 2 days');
  t.match(rate('age', '31-60'), { closed: 1, won: 0 }, '59 days');
  t.match(rate('age', '91-180'), { closed: 2, won: 2 }, '132 and 93 days');
  t.match(rate('age', '181+'), { closed: 1, won: 0 }, '181 days');
});

await t.test('a run over imported data is started, followed and read back', async (t) => {
  const input = JSON.stringify({ customerId: 'Norrwick' });
  const followed = await flowstate(['run', 'customer-insights', '--input', '-', '--follow', '--tag', 'cli'], {
    stdin: input,
  });
  t.equal(followed.code, 0, followed.err);
  t.match(followed.err, /step\.completed +reporting/);
  t.match(followed.err, /run\.completed/);
  const run = JSON.parse(followed.out) as {
    id: string;
    output: { details: { sales: { closed: unknown; pipeline: unknown } } };
  };
  t.match(run.output.details.sales.closed, { won: 3, lost: 1, wonRevenue: 9385 });
  t.match(run.output.details.sales.pipeline, { open: 2 });

  const list = await flowstate(['runs', 'list', '--tag', 'cli', '--state', 'completed']);
  t.match(list.out, new RegExp(`^ID .*\\n${run.id} +customer-insights +completed `));
  const shown = await flowstate(['runs', 'show', run.id]);
  t.match(JSON.parse(shown.out), { id: run.id, state: 'completed' });
  t.match((await flowstate(['runs', 'steps', run.id])).out, /^sales-intelligence +completed +1 /m);
  t.match(await flowstate(['runs', 'cancel', run.id]), { code: 1, err: /409.*already completed/ });
  t.match(await flowstate(['runs', 'retry', run.id]), { code: 1, err: /409/ });

  const file = await fileOf('input.json', input);
  const waited = await flowstate(['run', 'customer-insights', '--input', `@${file}`, '--wait']);
  t.match(JSON.parse(waited.out), { state: 'completed' });
  const started = await flowstate(['run', 'customer-insights', '--input', input, '--idempotency-key', 'once']);
  const replayed = await flowstate(['run', 'customer-insights', '--input', input, '--idempotency-key', 'once']);
  t.equal((JSON.parse(started.out) as { id: string }).id, (JSON.parse(replayed.out) as { id: string }).id);
});

await t.test('a schedule from its creation to its end', async (t) => {
  const create = (...args: string[]) =>
    flowstate(['schedules', 'create', 'customer-insights', '--input', '{"customerId": "Norrwick"}', ...args]);
  const when = ['--cron', '0 6 * * MON', '--timezone', 'Europe/Berlin', '--end-at', '2999-01-01T00:00:00Z'];
  const how = ['--name', 'weekly', '--tag', 'report', '--priority', '7', '--missed', 'skip', '--overlap', 'skip'];
  const created = await create(...when, ...how);
  t.equal(created.code, 0, created.err);
  const { id, nextAt } = JSON.parse(created.out) as { id: string; nextAt: string };
  t.match(JSON.parse(created.out), { state: 'active', tags: ['report'], priority: 7, missed: 'skip', overlap: 'skip' });
  t.match(nextAt, /T0[45]:00:00.000Z$/);
  const list = await flowstate(['schedules', 'list']);
  t.match(
    list.out,
    new RegExp(`^ID .*\\n${id} +weekly +customer-insights +0 6 \\* \\* MON Europe/Berlin +active +${nextAt}`),
  );
  t.same(await flowstate(['schedules', 'pause', id]), { code: 0, out: `${id} paused\n`, err: '' });
  t.same(await flowstate(['schedules', 'resume', id]), { code: 0, out: `${id} active ${nextAt}\n`, err: '' });
  const triggered = await flowstate(['schedules', 'trigger', id]);
  t.match(triggered, { code: 0, out: /^[0-9a-f-]{36} queued\n$/ });
  const shown = await flowstate(['runs', 'show', triggered.out.split(' ')[0] ?? '']);
  t.match(JSON.parse(shown.out), { scheduleId: id, tags: ['report'], priority: 7 });
  t.match(JSON.parse((await flowstate(['schedules', 'list', '--json'])).out), [{ id, lastRunId: String }]);
  t.same(await flowstate(['schedules', 'delete', id]), { code: 0, out: `${id} deleted\n`, err: '' });
  t.match(await flowstate(['schedules', 'trigger', id]), { code: 1, err: /404/ });
  const paused = await create('--every-ms', '60000', '--paused');
  t.match(JSON.parse(paused.out), { state: 'paused', everyMs: 60_000 });
  t.match(await create('--every-ms', 'often'), { code: 1, out: '', err: /everyMs must be integer/ });
  t.match(await create('--cron', '0 0 30 2 *'), { code: 1, out: '', err: /400.*cron never fires/ });
  t.match(await create('--overlap', 'maybe'), { code: 2, out: '', err: /Allowed choices are allow, skip/ });
});

await t.test('runs are cancelled and retried by filter, once somebody said yes', async (t) => {
  const input = { customerId: 'Norrwick' };
  const later = async () => {
    const { body } = await manager.post<{ id: string }>('/api/workflows/customer-insights/runs', {
      input,
      delayMs: 3_600_000,
      tags: ['bulk'],
    });
    return body.id;
  };
  const ids = [await later(), await later(), await later()];
  const states = async () =>
    (await Promise.all(ids.map((id) => manager.get<{ state: string }>(`/api/runs/${id}`)))).map(
      ({ body }) => body.state,
    );
  const cancel = ['runs', 'cancel', '--tag', 'bulk'];

  t.match(await flowstate([...cancel, '--dry-run']), {
    code: 0,
    out: 'dry run: 3 would be cancelled, 0 would be refused\n',
  });
  t.match(await flowstate(cancel), { code: 2, out: '', err: /Cancel 3 runs\? .*--yes/ });
  t.match(await flowstate(cancel, { isTTY: true, stdin: 'n\n' }), { code: 1, out: '', err: /Nothing was changed/ });
  t.match(await flowstate(cancel, { isTTY: true, stdin: '' }), { code: 1, err: /Nothing was changed/ }, 'Ctrl-D');
  t.same(await states(), ['queued', 'queued', 'queued']);
  const [first = '', second = ''] = ids;
  t.match(await flowstate(['runs', 'cancel', first, second, '--yes']), {
    code: 0,
    out: '2 matched, 2 cancelled, 0 failed\n',
  });
  t.match(await flowstate(cancel, { isTTY: true, stdin: 'y\n' }), {
    code: 0,
    out: '1 matched, 1 cancelled, 0 failed\n',
    err: /Cancel 1 runs\? \[y\/N\]/,
  });
  t.same(await states(), ['cancelled', 'cancelled', 'cancelled']);
  t.match(await flowstate(['runs', 'retry', first, second, '--yes']), {
    code: 1,
    out: '0 matched, 0 retried, 2 failed\n',
    err: new RegExp(`${first} conflict: Only a failed run can be retried, this one is cancelled`),
  });
  t.match(await flowstate(['runs', 'cancel', '--yes']), { code: 2, err: /name runs by their id, or by --workflow/ });
  const wrong = ['runs', 'cancel', '--created-after', 'yesterday', '--yes'];
  t.match(await flowstate(wrong), { code: 1, err: /400.*createdAfter/ });
});

await t.test('rejected rows go to a file, a mapping comes from one', async (t) => {
  const rejects = join(folder, 'rejects.ndjson');
  const mapping = await fileOf('mapping.json', '{"columns": {"externalId": "id"}, "delimiter": ";"}');
  const file = await fileOf('customers.csv', 'id;name\nm1;One\n;Nobody\n');
  const dry = await flowstate(['import', 'customers', file, '--mapping', mapping, '--dry-run']);
  t.match(dry, { code: 0, out: /dry run, nothing was kept\): 2 rows, 1 new/ });
  const ended = await flowstate(['import', 'customers', file, '--mapping', mapping, '--rejects', rejects]);
  t.match(ended, { code: 0, err: '', out: /1 new.*\n.*1 × externalId is required \(column id\)\n.*rejects\.ndjson/ });
  t.same(JSON.parse(await readFile(rejects, 'utf8')), {
    line: 3,
    errors: [{ field: 'externalId', message: 'is required (column id)' }],
  });
  const tsv = await fileOf('customers.tsv', 'externalId\tname\nm1\tOne\n');
  t.match(await flowstate(['import', 'customers', tsv]), { code: 0, out: /1 unchanged/ });
  const latin = await fileOf('latin.csv', '');
  await writeFile(latin, Buffer.from('externalId,name\nm2,M\xFCller\n', 'latin1'));
  t.match(await flowstate(['import', 'customers', latin]), { code: 1, err: /400.*line 2/ });
  t.match(await flowstate(['import', 'customers', latin, '--encoding', 'windows-1252']), { code: 0, out: /1 new/ });
});

async function refused(t: Test, args: string[], code: number, err: RegExp | string, options = {}) {
  const ended = await flowstate(args, options);
  t.match(ended, { code, out: '', err }, args.join(' '));
  t.notMatch(ended.err, /^ +at /m, 'no stack');
}

await t.test('what goes wrong is one clear line and an exit code', async (t) => {
  const file = await fileOf('bad.csv', 'externalId,colour,size\nx,y,z\n');
  await refused(
    t,
    ['import', 'customers', file],
    1,
    /refused \(400\): \n  name is required.*\n  colour is not.*\n  size is not/,
  );
  await refused(t, ['import', 'customers', join(folder, 'missing.csv')], 2, /ENOENT.*missing\.csv/);
  await refused(t, ['import', 'customers', folder], 2, /must end in/);
  await refused(t, ['import', 'widgets', file], 2, /widgets is none of customers, .*crm-practice/);
  await refused(t, ['import', 'crm-practice', folder], 2, /ENOENT.*accounts\.csv/);
  await refused(t, ['import', 'crm-practice', folder, '--mapping', file], 2, /a preset has its own/);
  const mapping = await fileOf('wrong.json', '{"colums": {}}');
  await refused(t, ['import', 'customers', file, '--mapping', mapping], 2, /mapping\.colums is not known here/);
  await refused(t, ['run', 'nothing'], 1, /404.*There is no workflow nothing/);
  await refused(t, ['run', 'customer-insights', '--input', '{'], 2, /--input: /);
  await refused(t, ['run', 'customer-insights', '--input', '{"customerId": "Nobody"}'], 1, /404.*no customer Nobody/);
  await refused(t, ['run', 'customer-insights', '--priority', 'high', '--input', '{}'], 1, /priority must be integer/);
  await refused(t, ['runs', 'show', 'x'], 1, /400/);
  await refused(t, ['runs', 'list', '--limit', '500'], 1, /limit must be <= 200/);
  await refused(t, ['fly'], 2, /unknown command 'fly'/);
  await refused(
    t,
    ['runs', 'list', '--url', 'http://127.0.0.1:9'],
    1,
    /No answer from http:\/\/127\.0\.0\.1:9.*npm start/,
  );
  await refused(t, ['runs', 'list', '--url', 'gateway'], 2, /--url must be/);
  const wrong = { ...login, FLOWSTATE_PASSWORD: 'wrong' };
  await refused(t, ['runs', 'list'], 1, /Login as manager@flowstate\.local was refused \(401\)/, { env: wrong });
  await refused(t, ['runs', 'list'], 2, /No login/, { env: {} });
});

await t.test('a login may come from a file, a token, or the clone that was started', async (t) => {
  const { FLOWSTATE_URL: url, FLOWSTATE_PASSWORD: password } = login;
  const passwordFile = await fileOf('password', `${password}\n`);
  const options = ['--url', url, '--email', 'analyst@flowstate.local', '--password-file', passwordFile];
  t.equal((await flowstate(['runs', 'list', ...options], { env: {} })).code, 0);
  const token = { FLOWSTATE_URL: url, FLOWSTATE_TOKEN: manager.token ?? '' };
  t.equal((await flowstate(['runs', 'list'], { env: token })).code, 0);
  const localEnvFile = await fileOf('local.env', `GATEWAY_URL=${url}\nDEMO_PASSWORD=${password}\n`);
  const none = {};
  t.equal((await flowstate(['runs', 'list'], { env: none, localEnvFile })).code, 0);
  const elsewhere = await flowstate(['runs', 'list', '--url', 'http://127.0.0.1:9'], { env: none, localEnvFile });
  t.match(elsewhere, { code: 2, err: /No login/ }, 'the demo password goes nowhere else');
});

await t.test('sessions are ended with the command that began them', async (t) => {
  const admin = await platform.as('admin');
  const sessions = async () => (await admin.get<{ items: unknown[] }>('/api/auth/sessions')).body.items.length;
  const before = await sessions();
  await flowstate(['runs', 'list', '--email', 'admin@flowstate.local']);
  t.equal(await sessions(), before);
});

await t.test('budgets are set, listed and removed, and usage is shown', async (t) => {
  const env = { ...login, FLOWSTATE_EMAIL: 'admin@flowstate.local' };
  const set = ['budgets', 'set', 'principal', 'month'];
  t.match(await flowstate([...set, '--usd', '2.5', '--at-limit', 'pause'], { env }), {
    code: 0,
    out: 'principal each, month: at most 2.5 USD\n',
  });
  t.match(await flowstate(['budgets', 'list'], { env }), {
    code: 0,
    out: /principal +each +month +2\.5 USD +0 tokens, 0 USD +pause +0/,
  });
  t.match(await flowstate([...set, '--usd', '1', '--subject', 'nobody'], { env }), {
    code: 1,
    err: /subject is not the id/,
  });
  t.match(await flowstate([...set, '--tokens', 'many'], { env }), { code: 2, err: /"many" must be a number/ });
  t.match(await flowstate([...set, '--tokens', '1']), { code: 1, err: /manager may not/ });
  t.match(await flowstate(['budgets', 'remove', 'principal', 'month'], { env }), { code: 0 });
  t.match(await flowstate(['usage', '--by', 'model', '--from', '2026-01-01']), { code: 0, out: /MODEL +CALLS/ });
});

await t.test('a gateway that dies in the middle is said in one line', async (t) => {
  const rows = Array.from({ length: 200_000 }, (_, i) => `late${i},x`).join('\n');
  const file = await fileOf('many.csv', `externalId,name\n${rows}\n`);
  const child = spawn(process.execPath, [main, 'import', 'customers', file], {
    env: { ...login, PATH: process.env.PATH },
  });
  let err = '';
  for await (const chunk of child.stderr.setEncoding('utf8')) {
    if (err === '') await platform.gateway.kill('SIGKILL');
    err += chunk;
  }
  t.match(err, /^ .* rows, .* new, .*…\n(.*\n)*The connection broke off .*importing it again is safe\.\n$/);
  await platform.gateway.restart();
});

await t.test('main.ts is a program', async (t) => {
  const child = spawn(process.execPath, [main, 'runs', 'list'], {
    env: { ...login, PATH: process.env.PATH },
  });
  const out = (await child.stdout.toArray()).join('');
  t.match(out, /^ID +WORKFLOW/);
  t.equal(child.exitCode ?? (await new Promise((resolve) => child.once('exit', resolve))), 0);
});
