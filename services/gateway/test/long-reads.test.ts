import { once } from 'node:events';
import { changeUserAccess, containUser, finishRuns, insertAudit } from '@flowstate/store';
import t, { type Test } from 'tap';
import { v7 as uuidv7 } from 'uuid';
import { createGatewayFixture, type Gateway } from './fixtures/gateway-fixture.ts';
import { addRun, addWorker } from './fixtures/owned-run.ts';

type Fixture = Awaited<ReturnType<typeof createGatewayFixture>>;

const from = new Date(Date.now() - 3_600_000).toISOString();

/** Several pages of entries. */
async function fillAudit({ sql }: Fixture): Promise<void> {
  const entry = { action: 'test.done', actor: null, subject: null, outcome: 'success', details: null } as const;
  await insertAudit(
    sql,
    Array.from({ length: 3_000 }, () => ({ id: uuidv7(), ...entry, personal: [] })),
  );
}

/** Many small pages, one a run: more than may wait on the way to a reader. */
async function fillRuns({ sql, users }: Fixture): Promise<void> {
  const owner = await addWorker(sql);
  const run = { principalId: users.agent.id, role: 'agent' as const, owner };
  const ids = await Promise.all(Array.from({ length: 400 }, () => addRun(sql, run)));
  const error = JSON.stringify({ code: 'internal', message: 'broken '.repeat(28) });
  await finishRuns(
    sql,
    ids.map((runId) => ({ runId, owner, chunk: 0, state: 'failed', lastSeq: 3, events: '[]', output: null, error })),
  );
}

/** With another administrator, so that the one who reads may lose everything. */
async function createFixture(t: Test): Promise<Fixture> {
  const fixture = await createGatewayFixture(t);
  await changeUserAccess(fixture.sql, fixture.users.manager.id, { role: 'admin' });
  return fixture;
}

const contain = ({ sql, users }: Fixture) =>
  sql.begin((tx) => containUser(tx, { userId: users.admin.id, reason: 'test', authorId: null }));

for (const [path, table, fill] of [
  ['/api/admin/audit/export', 'audit_log', fillAudit],
  [`/api/admin/incidents/events?from=${from}`, 'run_ends', fillRuns],
] as const) {
  const name = path.replace(/\?.*/, '');

  t.test(`${name}: what is read while access ends is not sent`, async (t) => {
    const fixture = await createFixture(t);
    const { addGateway, sql } = fixture;
    await fill(fixture);
    const gateway = await addGateway();
    const token = await gateway.tokenOf('admin');
    const reads = () => sql`
      SELECT FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE ${`%FROM ${table}%`}`;
    const { reading } = await sql.begin(async (tx) => {
      await tx`LOCK TABLE ${tx(table)} IN ACCESS EXCLUSIVE MODE`;
      const reading = gateway.call('GET', path, { token });
      while ((await reads()).length === 0);
      await contain(fixture);
      await gateway.identity.policy.refresh();
      return { reading };
    });
    t.match(await reading, { status: 403, body: { code: 'forbidden', detail: /Access has changed/ } });
  });

  t.test(`${name}: a reader who does not go on reading keeps nothing open`, async (t) => {
    const fixture = await createFixture(t);
    const { addGateway, sql, users } = fixture;
    await fill(fixture);
    const gateway = await addGateway();
    const role = (role: 'admin' | 'analyst') => changeUserAccess(sql, users.admin.id, { role });
    for (const [what, end, undo] of [
      ['logged out', () => gateway.identity.sessions.deleteUserSessions(users.admin.id), () => {}],
      ['another role', () => role('analyst'), () => role('admin')],
      ['contained', () => contain(fixture), () => {}],
    ] as const) {
      const stream = await open(gateway, path);
      t.ok(stream.read(), 'it has begun');
      const ended = once(stream, 'close');
      await end();
      await t.rejects(ended, { message: /destroyed before completion/ }, what);
      await undo();
      await gateway.identity.policy.refresh();
    }
  });
}

/** An answer that has begun, of which its reader takes no more. */
async function open(gateway: Gateway, url: string) {
  const headers = { authorization: `Bearer ${await gateway.tokenOf('admin')}` };
  const answer = await gateway.app.inject({ method: 'GET', url, headers, payloadAsStream: true });
  const stream = answer.stream();
  await once(stream, 'readable');
  return stream;
}
