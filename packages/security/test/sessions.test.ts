import { changeUserAccess, deleteEndedSessions, readSession } from '@flowstate/store';
import { emptyRedis } from '@flowstate/test';
import t from 'tap';
import { sessionKey, userSessionsKey } from '../src/index.ts';
import { createIdentityFixture } from './fixtures/identity-fixture.ts';

t.test('a session is answered by its copy, and by Postgres when the copy is lost, garbled or old', async (t) => {
  const { direct, addGateway, addUser, logIn, sql } = await createIdentityFixture(t);
  const { identity } = await addGateway();
  const user = await addUser();
  const { session } = await logIn(identity, user);
  const live = { id: session.id, userId: user.id, role: 'manager' };
  t.match(await identity.sessions.check(session.id), live);
  t.same(await direct.smembers(userSessionsKey(user.id)), [session.id]);

  // Proof that the copy is what is asked: only it says analyst.
  const copy = JSON.parse((await direct.get(sessionKey(session.id))) as string);
  await direct.set(sessionKey(session.id), JSON.stringify({ ...copy, role: 'analyst' }));
  t.match(await identity.sessions.check(session.id), { ...live, role: 'analyst' });

  for (const bad of ['{', '{"userId":1}', JSON.stringify({ ...copy, role: 'root' })]) {
    await direct.set(sessionKey(session.id), bad);
    t.match(await identity.sessions.check(session.id), live, `not ${bad}`);
  }
  for (const ageMs of [61_000, -3_600_000]) {
    await direct.set(sessionKey(session.id), JSON.stringify({ ...copy, role: 'admin', readAt: Date.now() - ageMs }));
    t.match(await identity.sessions.check(session.id), live, 'a copy is believed for a minute, whatever date it bears');
  }
  await emptyRedis(direct);
  t.match(await identity.sessions.check(session.id), live, 'a flush logs nobody out');
  t.ok(await direct.exists(sessionKey(session.id)), 'and the copy is back');
  t.equal(await identity.sessions.check(crypto.randomUUID()), 'session_missing');

  await sql`UPDATE sessions SET last_seen_at = now() - interval '5 minutes' WHERE id = ${session.id}`;
  await emptyRedis(direct);
  await identity.sessions.check(session.id);
  // The touch is not waited for by anybody but us.
  let seen: Date | undefined;
  while (seen === undefined || seen.getTime() < Date.now() - 60_000)
    seen = (await readSession(sql, session.id))?.lastSeenAt;
  t.pass('last activity is noted');
});

t.test('a revoked session is refused at once, everywhere, whatever Redis says', async (t) => {
  const { direct, addGateway, addUser, logIn } = await createIdentityFixture(t);
  const [here, there] = [await addGateway(), await addGateway()];
  const user = await addUser();
  const { session } = await logIn(here.identity, user);
  const { session: other } = await logIn(there.identity, user);
  t.match(await there.identity.sessions.check(session.id), { id: session.id });
  const stale = (await direct.get(sessionKey(session.id))) as string;

  t.ok(await here.identity.sessions.revoke({ id: session.id, userId: user.id }));
  t.notOk(await here.identity.sessions.revoke({ id: session.id, userId: user.id }), 'once');
  t.equal(await here.identity.sessions.check(session.id), 'session_revoked');
  t.equal(await there.identity.sessions.check(session.id), 'session_revoked');
  t.match(await there.identity.sessions.check(other.id), { id: other.id }, 'its sibling lives');
  await emptyRedis(direct);
  t.equal(await there.identity.sessions.check(session.id), 'session_revoked', 'after a flush');

  // What a failover to a replica that missed the deletion would do.
  await direct.set(sessionKey(session.id), stale);
  t.equal(await here.identity.sessions.check(session.id), 'session_revoked', 'where it was revoked');
  await there.identity.policy.refresh();
  t.equal(await there.identity.sessions.check(session.id), 'session_revoked', 'elsewhere within a poll');

  await there.redisCable.cut();
  t.equal(await there.identity.sessions.check(session.id), 'session_revoked', 'with Redis away');
  t.match(await there.identity.sessions.check(other.id), { id: other.id }, 'while good ones go on');
  t.equal(await there.identity.sessions.deleteUserSessions(user.id), 1, 'and revoking works without Redis');
  t.equal(await there.identity.sessions.check(other.id), 'session_revoked');
  await here.identity.policy.refresh();
  t.equal(await here.identity.sessions.check(other.id), 'session_revoked', 'though Redis still has its copy');
});

t.test('when Postgres is away the copy decides; when both are, nothing does', async (t) => {
  const { direct, addGateway, addUser, logIn } = await createIdentityFixture(t);
  const { identity, postgresCable, redisCable } = await addGateway();
  const user = await addUser();
  const { session } = await logIn(identity, user);
  const copy = JSON.parse((await direct.get(sessionKey(session.id))) as string);
  await direct.set(sessionKey(session.id), JSON.stringify({ ...copy, readAt: Date.now() - 3_600_000 }));
  await postgresCable.cut();
  t.match(await identity.sessions.check(session.id), { id: session.id }, 'even an old copy');
  await t.rejects(identity.sessions.check(crypto.randomUUID()), { code: 'unavailable' });
  await redisCable.cut();
  await t.rejects(identity.sessions.check(session.id), { code: 'unavailable' });
  await postgresCable.mend();
  t.match(await identity.sessions.check(session.id), { id: session.id });
});

t.test('a changed role or a disabled user counts at once where it was done, elsewhere within a poll', async (t) => {
  const { sql, addGateway, addUser, logIn } = await createIdentityFixture(t);
  const [here, there] = [await addGateway(), await addGateway()];
  const user = await addUser('manager');
  const { session } = await logIn(here.identity, user);
  await there.identity.sessions.check(session.id);

  const epoch = await changeUserAccess(sql, user.id, { role: 'agent' });
  here.identity.policy.noteEpoch(epoch as number);
  t.match(await here.identity.sessions.check(session.id), { role: 'agent' });
  await changeUserAccess(sql, user.id, { disabled: true });
  await there.identity.policy.refresh();
  t.equal(await there.identity.sessions.check(session.id), 'user_disabled');
  await changeUserAccess(sql, user.id, { disabled: false });
  await there.identity.policy.refresh();
  t.match(await there.identity.sessions.check(session.id), { role: 'agent' });
  t.equal(await changeUserAccess(sql, crypto.randomUUID(), { role: 'admin' }), null);
});

t.test('sessions end', async (t) => {
  const { sql, direct, addGateway, addUser, logIn } = await createIdentityFixture(t);
  const { identity } = await addGateway();
  const user = await addUser();
  const { session } = await logIn(identity, user);
  await sql`UPDATE sessions SET expires_at = now() - interval '1 second' WHERE id = ${session.id}`;
  const copy = JSON.parse((await direct.get(sessionKey(session.id))) as string);
  await direct.set(sessionKey(session.id), JSON.stringify({ ...copy, expiresAt: Date.now() - 1 }));
  t.equal(await identity.sessions.check(session.id), 'session_expired', 'by the copy');
  await emptyRedis(direct);
  t.equal(await identity.sessions.check(session.id), 'session_expired', 'by the record');
  t.equal(await deleteEndedSessions(sql, 30, 10), 0, 'and are kept for a while');
  await sql`UPDATE sessions SET expires_at = now() - interval '31 days' WHERE id = ${session.id}`;
  t.equal(await deleteEndedSessions(sql, 30, 10), 1);
  t.equal(await identity.sessions.check(session.id), 'session_missing');
});

t.test('refresh tokens work once; a second use ends the whole family', async (t) => {
  const { sql, addGateway, addUser, logIn } = await createIdentityFixture(t);
  const { identity } = await addGateway();
  const user = await addUser();
  const { sessions } = identity;
  const first = await logIn(identity, user);
  const bystander = await logIn(identity, user);
  const second = await sessions.refresh(first.refreshToken as string);
  if ('refused' in second) throw new Error(second.refused);
  t.equal(second.session.id, first.session.id);
  t.not(second.refreshToken, first.refreshToken);
  t.same(await sessions.refresh('fsr_never'), { refused: 'refresh_unknown' });

  t.same(await sessions.refresh(first.refreshToken as string), {
    refused: 'refresh_reused',
    userId: user.id,
    sessionId: first.session.id,
  });
  t.equal(await sessions.check(first.session.id), 'session_revoked');
  t.same(
    await sessions.refresh(second.refreshToken),
    { refused: 'refresh_unknown' },
    'the thief gets nothing more, nor does the user',
  );
  t.match(await sessions.check(bystander.session.id), { id: bystander.session.id }, 'other logins are not touched');

  const racers = await Promise.all([1, 2, 3].map(() => sessions.refresh(bystander.refreshToken as string)));
  t.ok(racers.filter((racer) => 'session' in racer).length <= 1, 'of several at once at most one wins');
  t.ok(racers.some((racer) => 'refused' in racer && racer.refused === 'refresh_reused'));
  t.equal(await sessions.check(bystander.session.id), 'session_revoked');

  const late = await logIn(identity, user);
  await sql`UPDATE refresh_tokens SET expires_at = now() WHERE session_id = ${late.session.id}`;
  t.same(await sessions.refresh(late.refreshToken as string), { refused: 'refresh_unknown' });
  const disabled = await logIn(identity, user);
  await changeUserAccess(sql, user.id, { disabled: true });
  t.same(await sessions.refresh(disabled.refreshToken as string), { refused: 'refresh_unknown' });
  const stored = await sql<{ hash: Buffer }[]>`SELECT hash FROM refresh_tokens`;
  t.ok(
    stored.every(({ hash }) => hash.length === 32),
    'only hashes are stored',
  );
});
