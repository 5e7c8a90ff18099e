import { Readable } from 'node:stream';
import { containUser } from '@flowstate/store';
import t from 'tap';
import { publishIngest } from './fixtures/documents-fixture.ts';
import { createGatewayFixture } from './fixtures/gateway-fixture.ts';

/** Lines of a client who is contained after the first; the second shows that somebody still reads. */
async function* linesOf(good: (id: string) => object, contain: () => Promise<void>) {
  yield `${JSON.stringify(good('before'))}\n`;
  await contain();
  yield '[]\n';
  yield `${JSON.stringify(good('after'))}\n`;
}

for (const [path, good, table] of [
  ['/api/import?entity=customers', (id: string) => ({ externalId: id, name: id }), 'customers'],
  ['/api/documents', (id: string) => ({ externalId: id, text: id }), 'documents'],
] as const) {
  t.test(`${path}: whoever is contained meanwhile stores nothing more`, async (t) => {
    const { addGateway, sql, users } = await createGatewayFixture(t);
    const gateway = await addGateway();
    await publishIngest(sql);
    const token = await gateway.tokenOf('manager');
    const contain = async () => {
      await sql.begin((tx) => containUser(tx, { userId: users.manager.id, reason: 'test', authorId: null }));
      await gateway.identity.policy.refresh();
    };
    const answer = await gateway.app.inject({
      method: 'POST',
      url: path,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/x-ndjson' },
      payload: Readable.from(linesOf(good, contain), { objectMode: false }),
    });
    const said = answer.body.trim().split('\n');
    t.match(JSON.parse(said.at(-1) ?? ''), { error: { code: 'forbidden', detail: /Access has changed/ } });
    t.same(await sql`SELECT external_id FROM ${sql(table)}`, []);
  });
}

t.test('an import answered as one object says what was stored before', async (t) => {
  const { addGateway, sql, users } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const token = await gateway.tokenOf('manager');
  const contain = async () => {
    await sql.begin((tx) => containUser(tx, { userId: users.manager.id, reason: 'test', authorId: null }));
    await gateway.identity.policy.refresh();
  };
  const twice = async function* () {
    // The second of the same key sends the first to Postgres.
    for (const name of ['one', 'two']) yield `${JSON.stringify({ externalId: 'C-1', name })}\n`;
    yield* linesOf((id) => ({ externalId: id, name: id }), contain);
  };
  const answer = await gateway.app.inject({
    method: 'POST',
    url: '/api/import?entity=customers',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/x-ndjson',
      accept: 'application/json',
    },
    payload: Readable.from(twice(), { objectMode: false }),
  });
  t.match(answer.json(), { status: 403, detail: /Access has changed.*Before that 1 rows were stored/ });
  t.same(await sql`SELECT external_id, name FROM customers`, [{ external_id: 'C-1', name: 'one' }]);
});
