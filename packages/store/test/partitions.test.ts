import { createTestDatabase } from '@flowstate/test';
import t from 'tap';
import { createSql, ensureAuditPartitions, ensureLedgerPartitions, tryLeaderLock } from '../src/index.ts';

t.test('partitions are made while a controller leads', async (t) => {
  const { url, sql } = await createTestDatabase(t);
  const leader = createSql(url, { name: 'leader', max: 1 });
  t.teardown(() => leader.end());
  t.equal(await tryLeaderLock(leader), true);
  for (const ensure of [ensureLedgerPartitions, ensureAuditPartitions]) {
    await sql.begin(async (tx) => {
      await tx`SET LOCAL lock_timeout = '5s'`; // nobody else is here to wait for
      await ensure(tx);
    });
  }
});
