import t from 'tap';
import { createKeyRing, splitSecrets } from '../src/index.ts';

const secret = (letter: string) => letter.repeat(32);

t.test('one key signs, all verify, and a kid tells nothing of its secret', async (t) => {
  const ring = createKeyRing({ current: secret('a'), previous: [secret('b')] });
  t.equal(ring.current.secret, secret('a'));
  t.equal(ring.kids().length, 2);
  for (const kid of ring.kids()) t.match(kid, /^[\w-]{12}$/);
  const after = createKeyRing({ current: secret('b'), previous: [secret('a')] });
  t.same(after.kids().toSorted(), ring.kids().toSorted(), 'every gateway gives a secret the same kid');
  t.equal(after.find(ring.current.kid)?.secret, secret('a'));
  t.equal(createKeyRing({ current: secret('b') }).find(ring.current.kid), undefined, 'a retired key is gone');
});

t.test('short secrets are refused, previous ones too', async (t) => {
  t.throws(() => createKeyRing({ current: 'short' }), { code: 'invalid_input' });
  t.throws(() => createKeyRing({ current: secret('a'), previous: ['short'] }), { code: 'invalid_input' });
});

t.test('JWT_PREVIOUS_SECRETS is a list', async (t) => {
  t.same(splitSecrets(undefined), []);
  t.same(splitSecrets(`${secret('a')}, ${secret('b')},`), [secret('a'), secret('b')]);
});
