import { randomBytes } from 'node:crypto';
import t from 'tap';
import { webhookKey } from '../src/index.ts';

t.test('both ways of writing a secret', async (t) => {
  const key = randomBytes(32);
  t.same(webhookKey(`whsec_${key.toString('base64')}`), key);
  t.same(webhookKey('a text of 24 bytes, äöü!'), Buffer.from('a text of 24 bytes, äöü!'));
  t.equal(webhookKey(undefined), null);
});

t.test('secrets that protect nothing are refused by name, never shown', async (t) => {
  for (const secret of [
    'short',
    `whsec_${randomBytes(23).toString('base64')}`,
    'whsec_not base64 at all, but long enough',
  ]) {
    try {
      webhookKey(secret);
      t.fail(`${secret} was taken`);
    } catch (error) {
      t.match(error, { code: 'invalid_input', message: /^WEBHOOK_SECRET must have/ });
      t.notOk((error as Error).message.includes(secret));
    }
  }
});
