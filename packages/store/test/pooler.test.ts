import t from 'tap';
import { directUrl, isPooled } from '../src/index.ts';
import { pooledAddress } from '../src/pooler.ts';

const direct = 'postgres://app:s%40cret@db:5432/flowstate?sslmode=require';
const pooled = 'postgres://app:s%40cret@pooler:6432/flowstate?sslmode=require&pgbouncer=true';

t.test('an address says whether it is a pooler, and the ledger has a database of its own there', async (t) => {
  t.same([isPooled(direct), isPooled(pooled), isPooled('no address')], [false, true, false]);
  t.equal(pooledAddress(direct, { ledger: true }), null);
  const plain = 'postgres://app:s%40cret@pooler:6432/flowstate?sslmode=require';
  t.equal(pooledAddress(pooled, { ledger: false }), plain);
  t.equal(pooledAddress(pooled, { ledger: true }), plain.replace('/flowstate?', '/flowstate_ledger?'));
});

t.test('what a session means cannot be said to a pooler', async (t) => {
  t.equal(directUrl({ DATABASE_URL: direct }), direct);
  t.equal(directUrl({ DATABASE_URL: pooled, DATABASE_DIRECT_URL: direct }), direct);
  const refused = { code: 'invalid_input', errors: [{ field: 'DATABASE_DIRECT_URL', message: /Postgres itself/ }] };
  t.throws(() => directUrl({ DATABASE_URL: pooled }), refused);
  t.throws(() => directUrl({ DATABASE_URL: direct, DATABASE_DIRECT_URL: pooled }), refused);
});
