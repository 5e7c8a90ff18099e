import type { LookupAddress, LookupOptions } from 'node:dns';
import t from 'tap';
import { createGuardedLookup } from '../src/webhooks/guarded-lookup.ts';

type Found = { error: unknown; address: string | LookupAddress[] };

function lookUp(addresses: string[], options: LookupOptions, allowPrivate = false): Promise<Found> {
  const family = (address: string) => (address.includes(':') ? 6 : 4);
  const lookup = createGuardedLookup({
    allowPrivate,
    resolve: (_hostname, _options, done) =>
      done(
        null,
        addresses.map((address) => ({ address, family: family(address) })),
      ),
  });
  return new Promise((resolve) => lookup('a.example', options, (error, address) => resolve({ error, address })));
}

t.test('of several addresses only the public ones are connected to', async (t) => {
  const mixed = ['127.0.0.1', '8.8.8.8', '::ffff:10.0.0.1', '2606:4700::1111'];
  t.match(await lookUp(mixed, { all: true }), { error: null, address: [{ address: '8.8.8.8' }, { family: 6 }] });
  t.equal((await lookUp(mixed, { all: true })).address.length, 2);
  t.match(await lookUp(mixed, {}), { error: null, address: '8.8.8.8' });
  t.equal((await lookUp(mixed, { all: true }, true)).address.length, 4, 'unless all are allowed');
});

t.test('without any it fails, and so does a name that does not exist', async (t) => {
  for (const options of [{}, { all: true }]) {
    t.match(await lookUp(['10.0.0.1', 'fd00::1'], options), { error: { code: 'forbidden' } });
  }
  const lookup = createGuardedLookup({ allowPrivate: false });
  const error = await new Promise((resolve) => lookup('nothing.invalid', { all: true }, resolve));
  t.match(error, { code: /ENOTFOUND|EAI_AGAIN/ });
});
