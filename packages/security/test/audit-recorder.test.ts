import { createSql, insertAudit, listAudit } from '@flowstate/store';
import { createTestDatabase, startCable } from '@flowstate/test';
import t, { type Test } from 'tap';
import { createAudit } from '../src/audit-recorder.ts';
import type { AuditEntry } from '../src/audit.ts';

const entry = (n: number): AuditEntry => ({ action: 'run.cancel', actor: 'ann', outcome: 'success', details: { n } });

/** A recorder whose database can be taken away. */
async function fixture(t: Test, options: { maxBytes?: number } = {}) {
  const { sql, url } = await createTestDatabase(t);
  const cable = await startCable(t, url);
  const own = createSql(cable.url, { name: 'audit-test', max: 1 });
  t.teardown(() => own.end({ timeout: 1 }));
  const seen = { lost: 0, troubles: 0, entries: 0 };
  const audit = createAudit({
    write: (rows) => insertAudit(own, rows),
    onLost: (entries) => void (seen.lost += entries),
    onTrouble: () => void (seen.troubles += 1),
    onEntry: () => void (seen.entries += 1),
    ...options,
  });
  const stored = async () => (await listAudit(sql, { limit: 1_000 })).map(({ details }) => details?.['n']).toReversed();
  return { sql, cable, audit, seen, stored };
}

t.test('entries are kept in order while Postgres is away, and written when it is back', async (t) => {
  const { cable, audit, seen, stored } = await fixture(t);
  audit.record(entry(0));
  t.ok(await audit.settled());
  await cable.cut();
  for (let n = 1; n <= 1_200; n++) audit.record(entry(n));
  t.notOk(await audit.settled(100), 'nobody waits for ever');
  t.ok(seen.troubles > 0);
  await cable.mend();
  t.ok(await audit.settled(20_000));
  t.same((await stored()).slice(-3), [1_198, 1_199, 1_200]);
  t.match(seen, { lost: 0, entries: 1_201 });
  await audit.stop();
});

t.test('beyond its bytes entries are counted as lost; memory stays bounded', async (t) => {
  const { cable, audit, seen, stored } = await fixture(t, { maxBytes: 5_000 });
  await cable.cut();
  for (let n = 1; n <= 1_000; n++) audit.record(entry(n));
  t.ok(seen.lost > 900, `${seen.lost} lost`);
  await cable.mend();
  t.ok(await audit.settled(20_000));
  t.equal((await stored()).length, 1_000 - seen.lost);
  audit.record(entry(1_001));
  t.ok(await audit.settled(), 'there is room again');
  await audit.stop();
});

t.test('one bad row does not take its neighbours along', async (t) => {
  const { audit, seen, stored } = await fixture(t);
  audit.record(entry(1));
  audit.record({ ...entry(2), outcome: 'perhaps' as 'failed' });
  audit.record({ ...entry(3), action: 'nul \0 and half \uD800', subject: '\0' });
  t.ok(await audit.settled());
  t.same(await stored(), [1, 3]);
  t.equal(seen.lost, 1);
  await audit.stop();
});

t.test('a shutdown writes what waits, and counts what it cannot', async (t) => {
  const { cable, audit, seen, stored } = await fixture(t);
  audit.record(entry(1));
  await audit.stop();
  t.same(await stored(), [1]);
  audit.record(entry(2));
  t.equal(seen.lost, 1, 'after the end nothing is taken');

  const other = await fixture(t);
  await other.cable.cut();
  for (let n = 0; n < 5; n++) other.audit.record(entry(n));
  await other.audit.stop();
  t.equal(other.seen.lost, 5);
  await cable.cut();
});

t.test('personal details stand apart, by whom they are about; secrets stand nowhere', async (t) => {
  const { sql, audit } = await fixture(t);
  audit.record({
    action: 'users.created',
    actor: 'ann',
    subject: 'bob',
    outcome: 'success',
    details: {
      email: 'bob@example.org',
      address: '10.0.0.1',
      userAgent: 'curl',
      role: 'agent',
      password: 'hunter2hunter2',
      nested: { refreshToken: 'fsr_abc' },
      big: undefined,
    },
  });
  audit.record({
    action: 'auth.failed',
    actor: null,
    outcome: 'denied',
    details: { address: '10.0.0.9', blob: 'x'.repeat(9_000) },
  });
  t.ok(await audit.settled());
  const [failed, created] = await listAudit(sql, { limit: 2 });
  t.same(created?.details, { role: 'agent', password: '[redacted]', nested: { refreshToken: '[redacted]' } });
  t.same(created?.personal, { address: '10.0.0.1', userAgent: 'curl', email: 'bob@example.org' });
  t.match(failed, { details: { truncated: true }, personal: { address: '10.0.0.9' } });
  const rows = await sql<{ person: string; data: string }[]>`
    SELECT person, data FROM audit_personal WHERE entry_id = ${created?.id ?? ''} ORDER BY person`;
  t.same(
    [...rows],
    [
      { person: 'ann', data: '{"address":"10.0.0.1","userAgent":"curl"}' },
      { person: 'bob', data: '{"email":"bob@example.org"}' },
    ],
  );
  await audit.stop();
});
