import { createTestDatabase } from '@flowstate/test';
import t from 'tap';
import { indexNextDimension } from '../src/index.ts';

t.test('nobody who embeds is undone for an index that is to be made, and it is made when they are done', async (t) => {
  const { sql } = await createTestDatabase(t);
  await sql`INSERT INTO collections (name, model, dimensions) VALUES ('own', 'own', 8)`;
  await sql.begin(async (writer) => {
    // It would see at once that it and the controller wait for each other.
    await writer`SET LOCAL deadlock_timeout = '1ms'`;
    await writer`DELETE FROM document_chunks`;
    const ended = new AbortController();
    const indexing = indexNextDimension(sql)
      .catch((error: { code?: string }) => error.code)
      .finally(() => ended.abort());
    const waits = async () =>
      (await sql`SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).length >
      0;
    while (!ended.signal.aborted && !(await waits()));
    await writer`UPDATE documents SET metadata = '{}'`;
    t.equal(await indexing, '55P03', 'it gives up soon');
  });
  t.equal(await indexNextDimension(sql), 8);
});
