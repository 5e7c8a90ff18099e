import type { Integration } from '@flowstate/contracts';
import t from 'tap';
import { integrationAgent } from '../src/agents/integration.ts';
import { runAgent } from './fixtures/crm-server.ts';
import { asOf, inline, integrations } from './fixtures/customer-fixture.ts';

const run = (rows: readonly Integration[]) =>
  runAgent(integrationAgent, { customerId: 'C1', asOf, integrations: inline(rows) });

t.test('hand-checked health', async (t) => {
  const result = await run(integrations);
  // Warehouse: degraded 25, 1,500 ms 10, three intervals late 15, 12 errors 10, one open incident 15: 100 - 75.
  t.same(
    result.integrations.map(({ id, status, score }) => [id, status, score]),
    [
      ['i2', 'critical', 25],
      ['i1', 'healthy', 100],
      ['i3', 'disabled', null],
    ],
  );
  t.same(
    result.integrations[0]?.deductions.map(({ factor, points, reason }) => [factor, points, reason.text]),
    [
      ['status', 25, 'it is reported as degraded'],
      ['latency', 10, 'it answers in 1,500 ms'],
      ['sync', 15, 'its last sync was 3 hours ago, it is due every 60 minutes'],
      ['errors', 10, 'it failed 12 times within a day'],
      ['incidents', 15, 'open incidents: 1'],
    ],
  );
  t.same([result.score, result.status], [62.5, 'critical'], '(100 + 25) / 2; the worst one tells');

  // The last sync was at 9:00, the next was due at 10:00.
  t.same(
    result.incidents.map(({ integrationId, source, kind, since }) => [integrationId, source, kind, since]),
    [
      ['i2', 'recorded', 'incident', '2026-06-28T12:00:00Z'],
      ['i2', 'detected', 'stale-sync', '2026-06-30T10:00:00.000Z'],
    ],
  );
  t.equal(result.incidents[0]?.reason.text, '“Warehouse”: “Orders arrive late”, open since 2026-06-28, that is 2 days');
  t.same(result.incidentsBefore, { asOf: '2026-05-31T12:00:00.000Z', count: 1, ids: ['i1'] });
});

t.test('edges', async (t) => {
  const [plain] = integrations as [Integration];
  const scoreOf = async (more: Partial<Integration>) => (await run([{ ...plain, ...more }])).score;
  t.equal(await scoreOf({}), 100);
  t.equal(await scoreOf({ status: 'down' }), 40, '100 - 60');
  t.equal(await scoreOf({ latencyMs: 1_000 }), 100, 'not above');
  t.equal(await scoreOf({ latencyMs: 5_001 }), 80);
  t.equal(await scoreOf({ lastSyncAt: '2026-06-30T10:00:00Z' }), 100, 'two intervals: one missed sync may be chance');
  t.equal(await scoreOf({ lastSyncAt: '2026-06-30T05:59:59Z' }), 70, 'more than six');
  t.equal(await scoreOf({ lastSyncAt: null, latencyMs: null }), 100, 'nothing is deducted for what is not known');
  t.equal(await scoreOf({ lastSyncAt: '2027-01-01T00:00:00Z' }), 100, 'a clock ahead is not late');
  t.equal(await scoreOf({ errorCount24h: 100 }), 80);
  const open = { openedAt: '2026-06-29T00:00:00Z', closedAt: null, summary: 'x' };
  t.equal(await scoreOf({ incidents: [open, open, open] }), 70, 'at most 30 for incidents');
  t.equal(
    await scoreOf({
      status: 'down',
      latencyMs: 9e9,
      lastSyncAt: '2020-01-01T00:00:00Z',
      errorCount24h: 1e9,
      incidents: [open, open],
    }),
    0,
    'never below zero',
  );

  const down = await run([{ ...plain, status: 'down', errorCount24h: 500 }]);
  t.same(
    down.incidents.map(({ kind, since }) => [kind, since]),
    [
      ['down', null],
      ['errors', null],
    ],
  );
  t.match(await run([]), { status: 'unknown', score: null, integrations: [], incidents: [] });
  t.match(await run([{ ...plain, status: 'disabled', incidents: [open] }]), {
    status: 'disabled',
    score: null,
    incidents: [],
  });
});
