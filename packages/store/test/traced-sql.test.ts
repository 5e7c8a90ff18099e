import { createTestDatabase, startCollector } from '@flowstate/test';
import { inRootSpan } from '@flowstate/tracing';
import t from 'tap';
import { createSql } from '../src/client.ts';
import { summaryOf } from '../src/traced-sql.ts';

const collector = await startCollector(t);
Object.assign(process.env, {
  OTEL_ENABLED: 'true',
  OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
  OTEL_BSP_SCHEDULE_DELAY: '10',
});
await import('../../runtime/src/telemetry.ts');
const database = await createTestDatabase(t);

t.test('what a statement does is named by its tables, or by the search it calls', async (t) => {
  t.equal(summaryOf('SELECT id FROM match_documents($, $)'), 'SELECT match_documents');
  t.equal(summaryOf('INSERT INTO runs (id) VALUES ($) ON CONFLICT DO UPDATE SET x = 1'), 'INSERT runs');
  const batch = `WITH input AS (SELECT * FROM unnest($::uuid[]) AS t(id)), ended AS (DELETE FROM run_live l USING input
    RETURNING l.id) INSERT INTO run_ends SELECT id FROM ended JOIN runs USING (id) FOR UPDATE SKIP LOCKED`;
  t.equal(summaryOf(batch), 'DELETE run_live INSERT run_ends SELECT runs');
  t.equal(summaryOf('SELECT 1'), 'SELECT');
  t.ok(summaryOf(Array.from({ length: 50 }, (_, n) => `SELECT FROM table_${n}`).join(' ')).length <= 120);
});

t.test('statements work as without spans: values, parts, transactions, failures', async (t) => {
  const sql = createSql(database.url, { name: 'flowstate-test', max: 2 });
  t.teardown(() => sql.end());
  await inRootSpan('work', { parent: null }, async () => {
    const part = sql`WHERE role = ${'nobody'}`;
    t.same(await sql`SELECT id FROM users ${part}`, []);
    t.same([...(await sql`SELECT ${'secret value'}::text AS x`)], [{ x: 'secret value' }]);
    const [one] = await sql.begin(async (tx) => {
      await tx.savepoint(async (inner) => inner`UPDATE flags SET reason = reason`);
      return tx`SELECT name FROM secrets LIMIT 1`;
    });
    t.ok(one);
    t.equal((await sql.unsafe('SELECT 2 AS two')).length, 1);
    await t.rejects(Promise.resolve(sql`SELECT * FROM nowhere`), { code: '42P01' });
    await t.rejects(
      sql.begin(async (tx) => {
        await tx`DELETE FROM sessions`;
        throw new Error('undone');
      }),
      { message: 'undone' },
    );
    const rows: number[] = [];
    for await (const found of sql`SELECT generate_series(1, 3) AS n`.cursor(2))
      rows.push(...found.map(({ n }) => n as number));
    t.same(rows, [1, 2, 3]);
  });
  t.same((await sql`SELECT 1 AS untraced`).length, 1);
  await collector.until((spans) => spans.some(({ name }) => name === 'work'));
  const of = (name: string) => collector.spans.find((span) => span.name === name);
  const work = of('work');
  for (const name of ['SELECT users', 'UPDATE flags', 'SELECT secrets', 'DELETE sessions']) {
    t.equal(of(name)?.parentSpanId, work?.spanId, name);
  }
  t.match(of('SELECT nowhere'), { failed: true, attributes: { 'error.type': '42P01' } });
  t.match(of('SELECT users')?.attributes['db.query.text'], /WHERE role = \$1/);
  t.notMatch(JSON.stringify(collector.spans.map(({ attributes }) => attributes)), /secret value|untraced/);
});
