import { Readable } from 'node:stream';
import { insertUser } from '@flowstate/store';
import t from 'tap';
import { createDocumentsFixture, embedAll, publishIngest } from './fixtures/documents-fixture.ts';

const { sql, app, audit, call, embedder } = await createDocumentsFixture(t);
await publishIngest(sql);

/** Lines as they are; whoever sends them may wait in between. */
async function send(lines: Iterable<string | Buffer> | AsyncIterable<string>, contentType = 'application/x-ndjson') {
  const response = await app.inject({
    method: 'POST',
    url: '/api/documents',
    headers: { 'x-role': 'service', 'content-type': contentType },
    payload: Readable.from(lines, { objectMode: false }),
  });
  const type = String(response.headers['content-type']);
  const said = type.includes('ndjson') ? response.body.trim().split('\n') : [response.body];
  return { status: response.statusCode, type, lines: said.map((line) => JSON.parse(line)) };
}

const count = async () => (await sql<{ n: number }[]>`SELECT count(*)::int AS n FROM documents`)[0]?.n;

await t.test('bad lines are reported by line, the others are stored and embedded by runs', async (t) => {
  const rows = Array.from({ length: 130 }, (_, i) =>
    JSON.stringify({ externalId: `d${i}`, text: `Note ${i} on fees` }),
  );
  const bad: [line: string, field: string][] = [
    ['{"text":', 'row'],
    ['[]', 'row'],
    ['{"text": "nameless"}', 'externalId'],
    ['{"externalId": "x", "text": " "}', 'text'],
    ['{"externalId": "x", "text": "a\\u0000b"}', 'text'],
    ['{"externalId": "x", "text": "y", "metadata": {"n": 1e400}}', 'metadata.n'],
    ['{"externalId": "x", "text": "y", "metadata": {"n": 12345678901234567890}}', 'metadata.n'],
    ['{"externalId": "x", "text": "y", "collection": "No Spaces"}', 'collection'],
    ['{"externalId": "x", "text": "y", "colection": "typo"}', 'colection'],
  ];
  const lines = [...rows.slice(0, 65), ...bad.map(([line]) => line), '', ...rows.slice(65)];
  const answer = await send(lines.map((line) => `${line}\n`));
  t.equal(answer.status, 200);
  t.match(answer.type, /^application\/x-ndjson/);
  const rejected = answer.lines.filter((line) => 'line' in line);
  t.same(
    rejected.map(({ line, errors }) => [line, errors[0].field]),
    bad.map(([, field], i) => [66 + i, field]),
  );
  const summary = answer.lines.at(-1);
  t.match(summary, { entity: 'documents', rows: 139, inserted: 130, rejected: 9 });
  t.equal(await count(), 130);
  const inputs = await sql<{ input: string; queue: string }[]>`
    SELECT input, queue FROM runs JOIN run_live USING (id) WHERE id = ANY(${summary.runs})`;
  t.equal(inputs.flatMap((run) => JSON.parse(run.input).documentIds).length, 130, 'all are to be embedded');
  t.same(new Set(inputs.map((run) => run.queue)), new Set(['documents']));

  await embedAll(call, embedder);
  const again = await send(rows.map((row) => `${row}\n`));
  t.match(again.lines.at(-1), { inserted: 0, updated: 0, unchanged: 130, runs: [] }, 'nothing is embedded again');
});

await t.test('a line for a collection of somebody else is refused alone, as one that is not there', async (t) => {
  const owner = await insertUser(sql, { email: 'kim@example.org', name: 'Kim', role: 'manager', passwordHash: null });
  await sql`INSERT INTO collections (name, owner_id, visibility) VALUES ('secret', ${owner?.id ?? ''}, 'private')`;
  const line = (externalId: string, collection: string) =>
    `${JSON.stringify({ externalId, text: 'on fees', collection })}\n`;
  const { lines } = await send([line('p1', 'open'), line('p2', 'secret'), line('p3', 'open'), line('p4', 'new')]);
  t.match(
    lines.filter((said) => 'line' in said),
    [{ line: 2, externalId: 'p2', errors: [{ field: 'collection', message: 'does not exist' }] }],
  );
  t.match(lines.at(-1), { rows: 4, inserted: 3, rejected: 1 });
});

await t.test(
  'batches are committed while the client still sends; a line with an id of before is refused',
  async (t) => {
    const before = (await count()) ?? 0;
    const line = (i: number, text: string) =>
      `${JSON.stringify({ externalId: `s${i}`, text, collection: 'stream' })}\n`;
    async function* slowly() {
      for (let i = 0; i < 200; i++) yield line(i, 'first');
      while (((await count()) ?? 0) === before) await new Promise((resolve) => setImmediate(resolve));
      yield line(0, 'last');
      yield line(200, 'one more');
    }
    const { lines } = await send(slowly());
    t.match(lines.at(-1), { rows: 202, inserted: 201, updated: 0, rejected: 1 });
    t.match(
      lines.filter((said) => 'line' in said),
      [{ line: 201, externalId: 's0', errors: [{ field: 'externalId', message: 'is that of line 1 too' }] }],
    );
    t.match((await call('GET', '/api/documents/s0')).body, { text: 'first' });
    t.match((await send([line(0, 'last')])).lines, [{ updated: 1 }], 'another import may replace it');
  },
);

await t.test('rows may bring their embedding; one that does not fit is refused alone', async (t) => {
  const { model } = embedder;
  const unit = (at: number) => Array.from({ length: 384 }, (_, i) => (i === at ? 1 : 0));
  const row = (externalId: string, more: object) =>
    `${JSON.stringify({ externalId, text: `Given ${externalId}`, collection: 'given', ...more })}\n`;
  const bad: [line: string, field: string][] = [
    [row('zero', { model, embedding: Array(384).fill(0) }), 'embedding'],
    [row('short', { model, embedding: [1, 2] }), 'embedding'],
    [row('other', { model: 'another', embedding: unit(1) }), 'model'],
    [row('nan', { model, embedding: [...unit(1).slice(1), Number.NaN] }), 'embedding.383'],
    [row('unpaired', { embedding: unit(1) }), 'model'],
  ];
  const { lines } = await send([row('a', { model, embedding: unit(7) }), ...bad.map(([line]) => line), row('b', {})]);
  const rejected = lines.filter((line) => 'line' in line).toSorted((a, b) => a.line - b.line);
  t.same(
    rejected.map(({ line, errors }) => [line, errors[0].field]),
    bad.map(([, field], i) => [2 + i, field]),
  );
  t.match(lines.at(-1), { rows: 7, inserted: 2, rejected: 5 });
  t.equal(lines.at(-1).runs.length, 1, 'for the one without');
  t.match((await call('GET', '/api/documents/a?collection=given')).body, { embedded: true });
});

await t.test('an import of many batches has few runs, and one entry in the audit log', async (t) => {
  const rows = Array.from({ length: 1_100 }, (_, i) =>
    JSON.stringify({ externalId: `m${i}`, text: `Memo ${i}`, collection: 'many' }),
  );
  const { lines } = await send(rows.map((row) => `${row}\n`));
  const { runs } = lines.at(-1) as { runs: string[] };
  const inputs = await sql<{ input: string }[]>`SELECT input FROM runs WHERE id = ANY(${runs}) ORDER BY id`;
  t.same(
    inputs.map(({ input }) => JSON.parse(input).documentIds.length),
    [1_000, 100],
  );
  await audit.settled();
  const entries = await sql<{ subject: string; outcome: string; details: string }[]>`
    SELECT subject, outcome, details FROM audit_log WHERE action = 'data.import' ORDER BY id DESC LIMIT 1`;
  t.match(entries, [{ subject: 'documents', outcome: 'success' }]);
  t.match(JSON.stringify(entries), /1100/);
});

await t.test('a line of other bytes than UTF-8 is rejected alone, wherever it stands', async (t) => {
  const line = (i: number, text: string) => Buffer.from(`${JSON.stringify({ externalId: `u${i}`, text })}\n`, 'latin1');
  const good = Array.from({ length: 300 }, (_, i) => line(i, `Note ${i}`));
  const faulty = line(300, 'fees \xff');
  const { lines } = await send([...good.slice(0, 100), faulty, ...good.slice(100), faulty]);
  t.match(
    lines.filter((said) => 'line' in said),
    [101, 302].map((at) => ({ line: at, errors: [{ field: 'row', message: 'has bytes that are not UTF-8' }] })),
  );
  t.match(lines.at(-1), { rows: 302, inserted: 300, rejected: 2 });
});

await t.test('what is no UTF-8 NDJSON as a whole is refused', async (t) => {
  t.match(await send(['{}'], 'application/x-ndjson; charset=latin1'), { status: 415 });
  t.match(await send(['{}'], 'text/csv'), { status: 415 });
});
