import { createTestDatabase } from '@flowstate/test';
import t from 'tap';
import { migrate, missingMigrations } from '../src/index.ts';

t.test('migrating twice, and twice at once, applies nothing more', async (t) => {
  const { url, sql } = await createTestDatabase(t);
  const results = await Promise.all([migrate(url), migrate(url)]);
  t.same(results, [{ applied: [] }, { applied: [] }]);
  t.same(await missingMigrations(sql), []);
});

t.test('ledger partitions exist ahead of time and are not made twice', async (t) => {
  const { sql } = await createTestDatabase(t);
  await sql`SELECT ensure_ledger_partitions()`;
  const [counted] = await sql<{ partitions: number }[]>`
    SELECT count(*)::int AS partitions FROM pg_inherits WHERE inhparent = 'runs'::regclass`;
  t.ok((counted?.partitions ?? 0) >= 5, 'this week, four ahead, and the default');
});
