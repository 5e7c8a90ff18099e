import { createHmac, createSign, generateKeyPairSync } from 'node:crypto';
import { changeUserAccess } from '@flowstate/store';
import t from 'tap';
import { createGatewayFixture, secret } from './fixtures/gateway-fixture.ts';

const now = () => Math.floor(Date.now() / 1000);
const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
const decode = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;

/** A token as anybody could put it together. */
function forge(header: object, payload: object, key: string): string {
  const input = `${encode(header)}.${encode(payload)}`;
  return `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`;
}

t.test('every kind of bad token is refused alike, logged and counted', async (t) => {
  const { addGateway, users, secrets } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const good = await gateway.tokenOf('manager');
  const [head, body, signature] = good.split('.') as [string, string, string];
  const header = decode(head);
  const claims = decode(body);
  t.same(Object.keys(header).toSorted(), ['alg', 'kid', 'typ']);
  t.match(header, { alg: 'HS256', typ: 'at+jwt', kid: gateway.keys.current.kid });
  t.match(claims, {
    iss: 'flowstate-test',
    aud: 'flowstate-test-api',
    sub: users.manager.id,
    role: 'manager',
    epoch: 1,
  });
  t.ok((claims['exp'] as number) - (claims['iat'] as number) <= 15 * 60);
  t.ok((await gateway.call('GET', '/api/auth/me', { token: good })).status === 200);
  t.equal(
    (await gateway.call('GET', '/api/auth/me', { token: forge(header, claims, secrets.JWT_SECRET) })).status,
    200,
  );

  const own = (changedHeader: object, changedClaims: object = {}) =>
    forge({ ...header, ...changedHeader }, { ...claims, ...changedClaims }, secrets.JWT_SECRET);
  const without = (claim: string) => {
    const { [claim]: _gone, ...rest } = claims;
    return forge(header, rest, secrets.JWT_SECRET);
  };
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const rsaInput = `${encode({ ...header, alg: 'RS256' })}.${encode(claims)}`;
  const rsa = `${rsaInput}.${createSign('RSA-SHA256').update(rsaInput).sign(privateKey, 'base64url')}`;
  const [, , otherSignature] = (await gateway.tokenOf('admin')).split('.');

  const bad: [name: string, token: string, reason: string][] = [
    ['alg none, no signature', `${encode({ ...header, alg: 'none' })}.${body}.`, 'signature'],
    ['alg none, signed all the same', own({ alg: 'none' }), 'algorithm'],
    ['alg HS512', own({ alg: 'HS512' }), 'algorithm'],
    ['RS256', rsa, 'algorithm'],
    ['no signature', `${head}.${body}.`, 'signature'],
    ['two parts', `${head}.${body}`, 'malformed'],
    ['truncated', good.slice(0, -1), 'signature'],
    ['truncated claims', `${head}.${body.slice(0, -9)}.${signature}`, 'malformed'],
    ['swapped signature', `${head}.${body}.${otherSignature}`, 'signature'],
    ['other claims under the signature', `${head}.${encode({ ...claims, role: 'admin' })}.${signature}`, 'signature'],
    ['signed by another secret', forge(header, claims, secret()), 'signature'],
    ['unknown kid', own({ kid: 'AAAAAAAAAAAA' }), 'unknown_kid'],
    ['no kid', own({ kid: undefined }), 'unknown_kid'],
    ['a kid that is no string', own({ kid: { toString: 'x' } }), 'unknown_kid'],
    ['wrong issuer', own({}, { iss: 'somebody' }), 'claims'],
    ['wrong audience', own({}, { aud: 'something' }), 'claims'],
    ['a list of audiences, ours not among them', own({}, { aud: ['a', 'b'] }), 'claims'],
    ['expired', own({}, { exp: now() - 1 }), 'expired'],
    ['not yet valid', own({}, { nbf: now() + 3600 }), 'not_yet_valid'],
    ['issued in the future', own({}, { iat: now() + 3600, exp: now() + 4000 }), 'not_yet_valid'],
    ['a claim of another type', own({}, { exp: 'never' }), 'claims'],
    ['a session id that is none', own({}, { sid: "' OR 1=1 --" }), 'claims'],
    ['a role we do not have', own({}, { role: 'root' }), 'claims'],
    ...['iss', 'aud', 'sub', 'exp', 'iat', 'sid', 'epoch'].map((claim): [string, string, string] => [
      `no ${claim}`,
      without(claim),
      'claims',
    ]),
    ['no type', own({ typ: undefined }), 'claims'],
    ['a critical extension', own({ crit: ['exp'] }), 'malformed'],
    ['another kind of token', own({ typ: 'run+jwt' }), 'claims'],
    ['no token at all', 'x', 'malformed'],
    ['an API key of nobody', 'fsk_aaaaaaaaaaaa_x', 'api_key_unknown'],
    ['a session that never was', own({}, { sid: crypto.randomUUID() }), 'session_missing'],
  ];
  for (const [name, token, reason] of bad) {
    const before = await gateway.failures();
    gateway.lines.length = 0;
    const answer = await gateway.call('GET', '/api/auth/me', { token });
    t.match(
      { ...answer, name },
      {
        name,
        status: 401,
        headers: { 'www-authenticate': 'Bearer error="invalid_token"', 'content-type': /problem\+json/ },
        body: { code: 'invalid_token', detail: 'The token is not valid, or no longer' },
      },
    );
    const logged = gateway.lines.filter((line) => line.msg === 'Authentication failed');
    t.equal(logged.length, 1, `${name}: logged once`);
    t.equal(logged[0]?.reason, reason, `${name}: the reason`);
    if (token.length > 20) t.notOk(JSON.stringify(gateway.lines).includes(token.slice(-20)), `${name}: not in the log`);
    const after = await gateway.failures();
    const key = String(logged[0]?.reason);
    t.equal((after[key] ?? 0) - (before[key] ?? 0), 1, `${name}: counted`);
  }

  for (const authorization of [
    '',
    'Bearer',
    'Bearer ',
    'Basic eDp5',
    `Bearer ${good} ${good}`,
    `Token ${good}`,
    good,
  ]) {
    const { status } = await gateway.call('GET', '/api/auth/me', { headers: { authorization } });
    t.equal(status, 401, `Authorization: ${authorization.slice(0, 12)}`);
  }
  t.equal((await gateway.call('GET', '/api/auth/me', { headers: { authorization: `bEaReR   ${good}` } })).status, 200);
  t.match(await gateway.call('GET', '/api/auth/me'), { status: 401, body: { detail: 'This needs an access token' } });
});

t.test("a token whose subject is not its session's is a mismatch: 403", async (t) => {
  const { addGateway, users, secrets } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const [head, body] = (await gateway.tokenOf('agent')).split('.') as [string, string];
  const token = forge(decode(head), { ...decode(body), sub: users.admin.id }, secrets.JWT_SECRET);
  t.match(await gateway.call('GET', '/api/auth/me', { token }), { status: 403, body: { code: 'session_mismatch' } });
  t.match(await gateway.failures(), { session_mismatch: 1 });
  t.match(gateway.lines.at(-1), { reason: 'session_mismatch', userId: users.admin.id });
});

t.test('the role is the one the user has now, not the one in the token', async (t) => {
  const { addGateway, sql, users } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const token = await gateway.tokenOf('manager');
  t.equal((await gateway.call('GET', '/api/documents', { token })).status, 200);
  await changeUserAccess(sql, users.manager.id, { role: 'analyst' });
  await gateway.identity.policy.refresh();
  t.equal((await gateway.call('GET', '/api/documents', { token })).status, 403);
  await changeUserAccess(sql, users.manager.id, { disabled: true });
  await gateway.identity.policy.refresh();
  t.equal((await gateway.call('GET', '/api/auth/me', { token })).status, 401);
  t.match(await gateway.failures(), { user_disabled: 1 });
});

t.test('keys are rotated without a single refusal, and a retired one is refused', async (t) => {
  const { addGateway, secrets } = await createGatewayFixture(t);
  const next = secret();
  const old = await addGateway();
  const issuedByOld = await old.tokenOf('agent');
  // Phase one: everybody learns the next key and still signs with the old one.
  const learned = await addGateway({ JWT_PREVIOUS_SECRETS: next });
  // Phase two: signing moves, one gateway at a time.
  const moved = await addGateway({ JWT_SECRET: next, JWT_PREVIOUS_SECRETS: secrets.JWT_SECRET });
  const issuedByMoved = await moved.tokenOf('agent');
  for (const gateway of [learned, moved]) {
    for (const token of [issuedByOld, issuedByMoved]) {
      t.equal((await gateway.call('GET', '/api/auth/me', { token })).status, 200);
    }
  }
  const { values } = await moved.metrics.tokensVerified.get();
  t.same(
    values.map(({ labels, value }) => [labels['kid'], value]),
    [
      [old.keys.current.kid, 1],
      [moved.keys.current.kid, 1],
    ],
    'traffic is counted by key',
  );
  const retired = await addGateway({ JWT_SECRET: next });
  t.equal((await retired.call('GET', '/api/auth/me', { token: issuedByMoved })).status, 200);
  t.equal((await retired.call('GET', '/api/auth/me', { token: issuedByOld })).status, 401);
  t.match(await retired.failures(), { unknown_kid: 1 });
});

t.test('a token that was accepted is refused once it expires', async (t) => {
  const { addGateway, secrets } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const [head, body] = (await gateway.tokenOf('agent')).split('.') as [string, string];
  const token = forge(decode(head), { ...decode(body), exp: now() + 5 }, secrets.JWT_SECRET);
  t.equal((await gateway.call('GET', '/api/auth/me', { token })).status, 200);
  let status = 200;
  const deadline = Date.now() + 30_000;
  while (status === 200 && Date.now() < deadline)
    status = (await gateway.call('GET', '/api/auth/me', { token })).status;
  t.equal(status, 401);
  t.match(await gateway.failures(), { expired: 1 });
});
