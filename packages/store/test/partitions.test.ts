import { createTestDatabase } from '@flowstate/test';
import t from 'tap';
import { createSql, ensureAuditPartitions, ensureLedgerPartitions, tryLeaderLock, type Sql } from '../src/index.ts';

/** Of a table, without its default one, in order. */
async function partitionsOf(sql: Sql, table: string): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    SELECT c.relname AS name FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
    WHERE inhparent = to_regclass(${table}) AND c.relname !~ '_default$' ORDER BY 1`;
  return rows.map(({ name }) => name);
}

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

t.test('rows that came before their partition keep no later one from being made', async (t) => {
  const { sql } = await createTestDatabase(t);
  const [, ...weeks] = await partitionsOf(sql, 'run_inbox');
  const [, ...months] = await partitionsOf(sql, 'audit_log');
  for (const name of [...weeks, ...months]) await sql`DROP TABLE ${sql(name)}`;
  await sql`
    INSERT INTO run_inbox (run_id, kind, name, data)
    VALUES (uuidv7_floor(date_trunc('week', now(), 'GMT') + interval '8 days'), 'signal', 'early', 'null')`;
  await sql`
    INSERT INTO audit_log (id, at, action, outcome, details)
    SELECT uuidv7_floor(at), at, 'early', 'success', '{}'
    FROM (SELECT date_trunc('month', now(), 'GMT') + interval '1 month 1 day' AS at) AS next_month`;
  await ensureLedgerPartitions(sql);
  await ensureAuditPartitions(sql);
  t.same((await partitionsOf(sql, 'run_inbox')).slice(1), weeks.slice(1), 'all but the week that has a row already');
  t.same((await partitionsOf(sql, 'audit_log')).slice(1), months.slice(1));
  t.same(await sql`SELECT name FROM run_inbox`, [{ name: 'early' }]);
  t.same(await sql`SELECT action FROM audit_log`, [{ action: 'early' }]);
});
