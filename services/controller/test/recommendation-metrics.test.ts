import { createLogger, createRegistry } from '@flowstate/runtime';
import {
  createSql,
  deleteOldRecommendations,
  findCustomerId,
  findRecommendation,
  insertRecommendation,
  recordOpinion,
  upsertCustomers,
} from '@flowstate/store';
import { createTestDatabase } from '@flowstate/test';
import t from 'tap';
import { recommendationMetrics } from '../src/recommendation-metrics.ts';

const principal = (n: number) => `00000000-0000-7000-8000-00000000000${n}`;

t.test('the share of helpful opinions of a week is shown, and old recommendations go', async (t) => {
  const { sql: owner, url } = await createTestDatabase(t);
  const sql = createSql(url, { name: 'flowstate-test', max: 1, keepAlive: true });
  t.teardown(() => sql.end());
  await sql`SET ROLE flowstate_app`;
  await upsertCustomers(sql, [{ externalId: 'a', name: 'A' }]);
  const customerId = (await findCustomerId(sql, 'a')) ?? '';
  const registry = createRegistry('controller', { FLOWSTATE_VERSION: 'test', FLOWSTATE_COMMIT: 'test' });
  recommendationMetrics(registry, sql, createLogger('test', 'silent'));
  const lines = async () => (await registry.metrics()).split('\n').filter((line) => line.startsWith('recommendation_'));
  t.same(await lines(), []);

  const say = (n: number, item: string, helpful: boolean) =>
    recordOpinion(sql, { customerId, principalId: principal(n), kind: 'action', item, helpful });
  t.equal(await say(1, 'x', true), 'new');
  t.equal(await say(1, 'x', true), 'same');
  t.equal(await say(1, 'x', false), 'changed');
  await Promise.all([say(2, 'x', true), say(3, 'x', true), say(1, 'y', true)]);
  t.same(await lines(), [
    'recommendation_feedback_recent{kind="action"} 4',
    'recommendation_helpful_share{kind="action"} 0.75',
  ]);
  await sql`UPDATE recommendation_feedback SET at = now() - interval '8 days' WHERE helpful`;
  t.same((await lines()).at(-1), 'recommendation_helpful_share{kind="action"} 0');

  const items = [{ kind: 'action', item: 'x' }] as const;
  const kept = await insertRecommendation(sql, { customerId, principalId: principal(1), items });
  const old = await insertRecommendation(sql, { customerId, principalId: principal(1), items });
  await owner`UPDATE recommendations SET id = uuidv7_floor(now() - interval '31 days') WHERE id = ${old}`;
  t.equal(await deleteOldRecommendations(sql, 30, 10), 1);
  t.equal(await deleteOldRecommendations(sql, 30, 10), 0);
  t.match(await findRecommendation(sql, kept), { customerId, items });
});
