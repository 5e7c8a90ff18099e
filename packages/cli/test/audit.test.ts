import { startPlatform } from '@flowstate/test';
import t from 'tap';
import { flowstate as run } from './fixtures/run-cli.ts';

const platform = await startPlatform(t);
const { sql, url } = platform.database;
const api = {
  FLOWSTATE_URL: platform.gateway.url,
  FLOWSTATE_EMAIL: 'admin@flowstate.local',
  FLOWSTATE_PASSWORD: platform.secrets.password,
};
const database = { DATABASE_URL: url };

const flowstate = (args: string[], env: Record<string, string> = api) => run(args, { env });

type Verdict = { ok: boolean; pending: number; entries: number; head: { hash: string } | null; findings: unknown[] };

/** The verdict once the controller has sealed everything. */
async function sealed(args: string[], env: Record<string, string>): Promise<Verdict> {
  for (;;) {
    const verdict = JSON.parse((await flowstate(['audit', 'verify', '--json', ...args], env)).out) as Verdict;
    if (verdict.pending === 0 && verdict.entries > 0) return verdict;
  }
}

t.test('the log is read, exported, erased and proved by API and directly', async (t) => {
  const agent = await platform.as('agent');
  t.equal((await agent.get('/api/admin/audit')).status, 403);
  const { body: me } = await agent.get<{ id: string }>('/api/auth/me');

  const listed = await flowstate(['audit', 'list', '--actor', me.id]);
  t.match(listed, { code: 0, out: /access\.denied +denied/ });
  t.match(listed.out, /auth\.login +success/);
  t.match(listed.out, /^AT .* FROM +DETAILS$[^]*auth\.login .* 127\.0\.0\.1 +\{/m);
  const exported = await flowstate(['audit', 'export', '--from', '2020-01-01T00:00:00Z', '--action', 'auth.login']);
  const lines = exported.out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { actor: string; personal: unknown });
  t.match(lines[0], { actor: me.id, personal: { email: 'agent@flowstate.local', address: /127\.0\.0\.1/ } });

  const erased = await flowstate(['audit', 'erase', '--subject', 'agent@flowstate.local']);
  t.match(erased, { code: 0, err: new RegExp(`about ${me.id}`) });

  // Without the gateway: straight at Postgres.
  await platform.gateway.kill('SIGTERM');
  const verdict = await sealed(['--direct'], database);
  t.match(verdict, { ok: true, findings: [] });
  const direct = await flowstate(['audit', 'list', '--direct', '--json', '--actor', me.id], database);
  t.ok((JSON.parse(direct.out) as { personal: unknown }[]).every(({ personal }) => personal === null));
  t.match(await flowstate(['audit', 'export', '--direct', '--to', '2020-01-01T00:00:00Z'], database), {
    code: 0,
    out: '',
  });
  t.match(await flowstate(['audit', 'verify', '--direct', '--head', verdict.head?.hash ?? ''], database), {
    code: 0,
    out: /^untouched/,
  });

  const told = new RegExp(`audit_sealed_entries ${verdict.entries}\\b`);
  /** Postgres knows of the seal before the controller has heard that it does. */
  const metrics = async () => (await fetch(`${platform.controller.url}/metrics`)).text();
  while (!told.test(await metrics()));
  t.match(await platform.controller.logged(({ msg }) => msg === 'audit chain head'), { hash: /^[0-9a-f]{64}$/ });

  const [victim] = await sql<{ id: string }[]>`
    UPDATE audit_log SET outcome = 'success' WHERE action = 'access.denied' RETURNING id`;
  const touched = await flowstate(['audit', 'verify', '--direct'], database);
  t.match(touched, { code: 1, out: /^TOUCHED/ });
  t.match(touched.out, new RegExp(`changed +${victim?.id}`));
});

t.test('wrong usage is said in one line', async (t) => {
  t.match(await flowstate(['audit', 'list', '--from', 'soon']), { code: 2, err: /--from must be a time/ });
  t.match(await flowstate(['audit', 'list', '--limit', '0']), { code: 2, err: /--limit/ });
  t.match(await flowstate(['audit', 'verify', '--direct'], {}), { code: 2, err: /DATABASE_URL/ });
  const nowhere = { DATABASE_URL: 'postgres://127.0.0.1:1/none' };
  t.match(await flowstate(['audit', 'verify', '--direct'], nowhere), { code: 1, err: /^Postgres \(DATABASE_URL\): / });
});
