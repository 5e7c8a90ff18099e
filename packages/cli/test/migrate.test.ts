import { createTestDatabase } from '@flowstate/test';
import t from 'tap';
import { flowstate } from './fixtures/run-cli.ts';

t.test('an empty database is brought forward, by two at once; again it has nothing to do', async (t) => {
  const { url, sql } = await createTestDatabase(t);
  await sql.unsafe('DROP SCHEMA public CASCADE; CREATE SCHEMA public');
  const env = { DATABASE_URL: url };
  t.match(await flowstate(['migrate', '--check'], { env }), { code: 1, out: /^missing: 0001_ledger.sql, 0002/ });
  const both = await Promise.all([flowstate(['migrate'], { env }), flowstate(['migrate'], { env })]);
  for (const { code, err } of both) t.same({ code, err }, { code: 0, err: '' });
  t.match(both.map(({ out }) => out).toSorted(), [/^applied: 0001_ledger.sql, /, 'nothing to do\n']);
  t.match(await flowstate(['migrate', '--check'], { env }), { code: 0, out: 'nothing is missing\n' });
});

t.test('what is wrong is one line', async (t) => {
  t.match(await flowstate(['migrate']), { code: 2, err: /^DATABASE_URL, the address of Postgres, is needed/ });
  const env = { DATABASE_URL: 'postgres://nobody:x@127.0.0.1:1/none' };
  t.match(await flowstate(['migrate'], { env }), { code: 1, err: /^The stores cannot be used/ });
});
