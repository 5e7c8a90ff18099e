import { changeUserAccess, listAudit } from '@flowstate/store';
import t from 'tap';
import { createAuditedChange, createSessionAdmin, sessionKey, userSessionsKey } from '../src/index.ts';
import { createIdentityFixture } from './fixtures/identity-fixture.ts';

const by = { id: null, details: { test: true } };

t.test('what Redis holds of sessions is held against Postgres, and repaired', async (t) => {
  const { sql, direct, addGateway, addUser, logIn } = await createIdentityFixture(t);
  const { identity, redis } = await addGateway();
  const admin = createSessionAdmin({ sql, redis, sessions: identity.sessions, changeAudited: createAuditedChange() });
  t.match(
    await admin.verify({ repair: true, by }),
    { copies: 0, indexed: 0, sessions: 0, sound: true },
    'nothing is sound',
  );
  const [user, other] = [await addUser(), await addUser()];
  const open = async () => (await logIn(identity, user)).session.id;
  const [good, thief, elevated, longer, unindexed, garbled, revoked, expired, deleted] = (await Promise.all(
    Array.from({ length: 9 }, open),
  )) as [string, string, string, string, string, string, string, string, string];
  t.match(await admin.verify({ repair: false, by }), { copies: 9, indexed: 9, sessions: 9, sound: true, findings: [] });

  const change = async (id: string, changed: object) => {
    const copy = JSON.parse((await direct.get(sessionKey(id))) as string) as object;
    await direct.set(sessionKey(id), JSON.stringify({ ...copy, ...changed }), 'KEEPTTL');
  };
  await change(thief, { userId: other.id });
  await change(elevated, { role: 'admin' });
  await change(longer, { expiresAt: Date.now() + 1e10 });
  await direct.srem(userSessionsKey(user.id), unindexed);
  await direct.set(sessionKey(garbled), '{');
  await sql`UPDATE sessions SET revoked_at = now() WHERE id = ${revoked}`;
  await sql`UPDATE sessions SET expires_at = now() WHERE id = ${expired}`;
  await sql`DELETE FROM sessions WHERE id = ${deleted}`;
  await direct.set(sessionKey('not-an-id'), '{}');
  await direct.sadd(userSessionsKey(other.id), good);

  const report = await admin.verify({ repair: false, by });
  const of = (id: string, key = sessionKey(id)) =>
    report.findings.filter((finding) => finding.sessionId === id && finding.key === key);
  t.match(of(thief), [{ fault: 'mismatched', userId: user.id, detail: /user is .* in Redis/ }]);
  t.match(of(elevated), [{ fault: 'mismatched', detail: 'role is admin in Redis, manager in Postgres' }]);
  t.match(of(longer), [{ fault: 'mismatched', detail: /end is/ }]);
  t.match(of(unindexed), [{ fault: 'mismatched', detail: /index/ }]);
  t.match(of(garbled), [{ fault: 'mismatched', detail: /cannot be read/ }]);
  t.match(of(revoked), [{ fault: 'revoked' }]);
  t.match(of(expired), [{ fault: 'expired' }]);
  t.match(of(deleted), [{ fault: 'orphaned' }]);
  t.match(of('not-an-id'), [{ fault: 'orphaned', userId: null }]);
  t.match(of(good, userSessionsKey(other.id)), [{ fault: 'mismatched' }], 'an index that is not that of its user');
  t.same(of(good), [], 'a good one is none');
  t.match(of(revoked, userSessionsKey(user.id)), [{ fault: 'expired' }], 'by an index alone nobody gets in');
  t.equal(report.sound, false);
  t.equal(report.counts.orphaned, 3, 'two copies, one index entry');
  t.equal(report.counts.mismatched, 6);

  const repaired = await admin.verify({ repair: true, by });
  t.equal(repaired.repaired, report.findings.length);
  t.match(await admin.verify({ repair: false, by }), { sound: true, findings: [] });
  for (const id of [good, thief, elevated, longer, unindexed, garbled]) {
    t.match(
      await identity.sessions.check(id),
      { userId: user.id, role: 'manager' },
      'Postgres decides, the copy is back',
    );
  }
  t.match(await admin.verify({ repair: false, by }), { sound: true, findings: [] });

  await changeUserAccess(sql, user.id, { role: 'agent' });
  t.match(
    await admin.verify({ repair: false, by }),
    { sound: true },
    'a copy older than the last change is believed by nobody',
  );
  await changeUserAccess(sql, user.id, { disabled: true });
  t.match(await admin.verify({ repair: false, by }), { sound: false, counts: { revoked: 6 } });
});

t.test('a user is named by id or email; all their sessions end', async (t) => {
  const { sql, addGateway, addUser, logIn } = await createIdentityFixture(t);
  const { identity, redis } = await addGateway();
  const admin = createSessionAdmin({ sql, redis, sessions: identity.sessions, changeAudited: createAuditedChange() });
  const [user, bystander] = [await addUser(), await addUser('agent')];
  const { session } = await logIn(identity, user);
  await logIn(identity, user);
  await logIn(identity, bystander);
  t.equal((await admin.list({ limit: 10 })).length, 3);
  t.match(await admin.list({ user: user.email.toUpperCase(), limit: 10 }), { length: 2 });
  t.match(await admin.list({ user: user.id, before: session.id, limit: 10 }), []);
  t.same(await admin.revoke(session.id, by), { userId: user.id });
  t.equal(await admin.revoke(session.id, by), null);
  t.same(await admin.revokeUser(user.email, by), { userId: user.id, revoked: 1 });
  await t.rejects(admin.revokeUser('nobody@example.org', by), { code: 'not_found' });
  t.match(await listAudit(sql, { limit: 9 }), [
    { action: 'session.all_revoked', subject: user.id, details: { revoked: 1, test: true } },
    { action: 'session.revoked', subject: user.id, details: { ended: session.id } },
  ]);
  t.match(await admin.list({ limit: 10 }), [{ userId: bystander.id, user: bystander.email, role: 'agent' }]);
});
