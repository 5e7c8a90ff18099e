import type { Opportunity } from '@flowstate/contracts';
import t from 'tap';
import { baseRatesOf } from '../src/agents/base-rates.ts';
import { salesIntelligenceAgent } from '../src/agents/sales-intelligence.ts';
import { createCrmServer, runAgent } from './fixtures/crm-server.ts';
import { asOf, baseRates, history, inline, opportunities } from './fixtures/customer-fixture.ts';

const inlineRun = (rows: readonly Opportunity[], closed?: readonly Opportunity[]) =>
  runAgent(salesIntelligenceAgent, {
    customerId: 'C1',
    asOf,
    opportunities: inline(rows),
    ...(closed && { history: inline(closed) }),
  });

t.test('base rates of closed opportunities equal those counted by hand', async (t) => {
  const key = (rate: { dimension: string; value: string }) => `${rate.dimension} ${rate.value}`;
  const sorted = (rates: typeof baseRates) => rates.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
  t.same(sorted(baseRatesOf(history)), sorted(baseRates));
  t.same(baseRatesOf(opportunities.filter(({ stage }) => stage === 'Proposal')), [], 'open ones do not count');
  const [row] = history as [Opportunity];
  t.same(
    baseRatesOf([{ ...row, closedAt: null, history: [] }]).map(({ dimension }) => dimension),
    ['all', 'product', 'owner'],
    'without dates no age, without stages no stage',
  );
});

t.test('hand-checked forecasts', async (t) => {
  const { backend, requests } = await createCrmServer(t, 'C1', { opportunities, baseRates });
  const result = await runAgent(salesIntelligenceAgent, { customerId: 'C1', asOf }, backend);
  t.same(requests.toSorted(), ['GET /api/customers/C1/opportunities?limit=200', 'GET /api/opportunities/base-rates']);
  const [first, second] = result.open;
  t.same(result.baseRate, { closed: 10, won: 6, rate: 0.6 });

  // p0 = (6 + 0.5) / (10 + 1) = 0.590909, its log-odds 0.367725; k = 20, so k·p0 = 11.818182.
  // stage Proposal (6 + 11.818182) / (8 + 20) = 0.636364, product A (5 + 11.818182) / 26 = 0.646853,
  // owner Ann (4 + 11.818182) / 25 = 0.632727; open at 40 days: of the 4 + 2 that closed in '31-60' or later 3 were
  // won, (3 + 11.818182) / 26 = 0.569930.
  t.same(
    first?.factors.map(({ dimension, closed, won, rate }) => [dimension, closed, won, rate]),
    [
      ['stage', 8, 6, 0.6364],
      ['product', 6, 5, 0.6469],
      ['owner', 5, 4, 0.6327],
      ['age', 6, 3, 0.5699],
    ],
  );
  // Log-odds 0.559616, 0.605235, 0.543935, 0.281566: shifts 0.191891 + 0.237510 + 0.176210 - 0.086159 = 0.519452,
  // by 1/√4: 0.259726. 1 / (1 + exp(-(0.367725 + 0.259726))) = 0.651912.
  t.match(first, { id: 'id-o1', ageDays: 40, probability: 0.6519 });
  t.match(first?.amount, { value: 20_000, estimated: false, evidence: { ids: ['id-o1'] } });
  t.equal(first?.expectedValue, 13_038, '0.6519 × 20,000');
  // Past stages and ages cannot be listed: they are read off all closed ones.
  const all = { kind: 'opportunity', query: '/api/opportunities?closed=true', count: 10 };
  t.same(
    first?.basis.map(({ value, evidence }) => [value, evidence]),
    [
      [0.6, all],
      [0.6364, all],
      [0.6469, { kind: 'opportunity', query: '/api/opportunities?closed=true&product=A', count: 6 }],
      [0.6327, { kind: 'opportunity', query: '/api/opportunities?closed=true&owner=Ann', count: 5 }],
      [0.5699, all],
    ],
  );

  // Stage Discovery never occurred and the age is not known: two factors. B (1 + 11.818182) / 24 = 0.534091, log-odds
  // 0.136576; Bob (2 + 11.818182) / 25 = 0.552727, 0.211696. (-0.231149 - 0.156029) / √2 = -0.273776;
  // 1 / (1 + exp(-(0.367725 - 0.273776))) = 0.523470.
  t.match(second, { id: 'id-o2', ageDays: null, probability: 0.5235 });
  t.same(
    second?.factors.map(({ rate }) => rate),
    [null, 0.5341, 0.5527],
  );
  // The one won B had 3,000.
  t.match(second?.amount, {
    value: 3_000,
    estimated: true,
    evidence: { query: '/api/opportunities?closed=true&product=B' },
  });
  t.equal(second?.expectedValue, 1_570.5, '0.5235 × 3,000');
  t.same(
    second?.risks.map(({ risk }) => risk),
    ['no-opening-date', 'no-amount'],
  );

  t.match(result.pipeline, {
    open: 2,
    amount: 23_000,
    expectedValue: 14_608.5,
    estimated: 1,
    valued: ['id-o1', 'id-o2'],
  });

  // h1, h2, h3 won with 10, 12 and 14 thousand, h7 lost; all closed on May 31, thirty days before, so ninety days ago none.
  t.match(result.closed, {
    won: 3,
    lost: 1,
    winRate: 0.75,
    wonRevenue: 36_000,
    lostIds: ['id-h7'],
    wonWithoutAmount: 0,
  });
  t.match(result.closed.before, { won: 0, lost: 0, winRate: null, wonRevenue: 0 });
});

t.test('inline facts give the same numbers, with rows as evidence', async (t) => {
  const result = await inlineRun(opportunities, history);
  t.same(
    result.open.map(({ probability, expectedValue }) => [probability, expectedValue]),
    [
      [0.6519, 13_038],
      [0.5235, 1_570.5],
    ],
  );
  t.same(result.open[1]?.amount?.evidence, { kind: 'opportunity', ids: ['h6', 'h8', 'h9', 'h10'] });
  t.same(await inlineRun(opportunities, history), result, 'twice the same');
  t.equal((await inlineRun(opportunities)).baseRate.closed, 4, 'without history the customer’s own closed ones count');
});

t.test('nothing is invented', async (t) => {
  const open = opportunities.filter(({ stage }) => stage !== 'won' && stage !== 'lost');
  const none = await inlineRun(open, []);
  t.same(
    none.open.map(({ probability, expectedValue }) => [probability, expectedValue]),
    [
      [null, null],
      [null, null],
    ],
  );
  t.same(
    none.open.map(({ amount }) => amount?.value ?? null),
    [20_000, null],
  );
  t.same(none.pipeline.expectedValue, null);

  const [won] = history as [Opportunity];
  const one = await inlineRun(open, [won]);
  t.ok((one.open[0]?.probability as number) < 0.9, 'a single won deal is no certainty');
  const empty = await inlineRun([], []);
  t.match(empty, { open: [], pipeline: { open: 0, amount: null, expectedValue: null }, closed: { winRate: null } });
});

t.test('risks', async (t) => {
  const [open] = opportunities as [Opportunity];
  const risksOf = async (row: object) => {
    const result = await inlineRun([{ ...open, ...row }], history);
    return result.open[0]?.risks.map(({ reason }) => reason.text);
  };
  // Opened 2026-03-01: 121 days, '91-180'; all six won ones closed within 90. Its stage has not changed since.
  t.same(
    await risksOf({ openedAt: '2026-03-01T12:00:00Z', history: [{ stage: 'Proposal', at: '2026-03-01T12:00:00Z' }] }),
    ['open for 121 days; 100% of what was won closed within 90 days', 'in stage “Proposal” for 121 days'],
  );
  t.same(await risksOf({}), []);
  // Forty won ones of Ann more, ten days old: p0 = 46.5 / 51 = 0.911765, Bob (2 + 18.235294) / 25 = 0.809412, that is
  // 0.102 below; 46 / 50 = 92 % were won. Of 46 won ones 3 + 40 closed within 30 days: 93.5 %.
  const more = Array.from(
    { length: 40 },
    (_, index) => ({ ...history[0], id: `w${index}`, externalId: `w${index}` }) as Opportunity,
  );
  const result = await inlineRun([{ ...open, owner: 'Bob' }], [...history, ...more]);
  t.same(
    result.open[0]?.risks.map(({ reason }) => reason.text),
    [
      'open for 40 days; 93.5% of what was won closed within 30 days',
      'the win rate of owner “Bob” is 80.9%, of all 92%',
    ],
  );
});

t.test('values are taken exactly as stored', async (t) => {
  const [open] = opportunities as [Opportunity];
  const result = await inlineRun([{ ...open, product: 'a', owner: 'Ann ' }], history);
  t.same(result.open[0]?.factors.map(({ dimension, closed }) => [dimension, closed]).slice(1, 3), [
    ['product', 0],
    ['owner', 0],
  ]);
});

t.test('fifty are listed, all are counted', async (t) => {
  const [open] = opportunities as [Opportunity];
  const rows = Array.from({ length: 60 }, (_, index) => ({
    ...open,
    id: `x${index}`,
    externalId: `x${index}`,
    amount: index,
  }));
  const result = await inlineRun(rows, history);
  t.same([result.open.length, result.omitted, result.pipeline.open, result.pipeline.amount], [50, 10, 60, 1_770]);
  t.equal(result.open[0]?.id, 'x59');
});
