import t from 'tap';
import { interactionAgent } from '../src/agents/interaction.ts';
import { questionIn } from '../src/agents/open-questions.ts';
import { sentimentOf } from '../src/agents/sentiment.ts';
import { createCrmServer, runAgent } from './fixtures/crm-server.ts';
import { asOf, inline, interactions } from './fixtures/customer-fixture.ts';

const run = (rows: readonly object[]) =>
  runAgent(interactionAgent, { customerId: 'C1', asOf, interactions: inline(rows as typeof interactions) });

t.test('sentiment of single messages', async (t) => {
  // VADER: valence / sqrt(valence² + 15); love 3.2, failed -2.3.
  t.equal(sentimentOf('We love the new export.'), 0.6369, '3.2 / sqrt(25.24) = 3.2 / 5.02394');
  t.equal(sentimentOf('The export failed.'), -0.5106, '-2.3 / sqrt(20.29) = -2.3 / 4.50444');
  t.equal(sentimentOf('The export failed. When will it be repaired?'), -0.2553, '(-0.5106 + 0) / 2');
  t.equal(sentimentOf('Please contact support for help'), 0, 'formulas carry no feeling');
  t.ok((sentimentOf('We don’t love it') as number) < 0, 'a typographic apostrophe negates too');
  t.equal(sentimentOf('Die Lieferung ist schon wieder viel zu spät'), null, 'not English');
  t.equal(sentimentOf('系统又坏了，请尽快修复'), null);
  t.equal(sentimentOf('👍🏽 !!! 42'), null);
  t.equal(sentimentOf('> I love it\nThe export failed.'), -0.5106, 'what is quoted below was said before');
});

t.test('hand-checked figures', async (t) => {
  const result = await run(interactions);
  t.match(result.read, { interactions: 10, inbound: 6, outbound: 4, later: 0, truncated: false });

  // great 0.6249, good 0.4404, love 0.6369: 1.7022 / 3. failed/2 -0.2553, terrible -0.4767, question 0: -0.732 / 3.
  t.match(result.sentiment.previous, { count: 3, mean: 0.5674, positive: 3, negative: 0, ids: ['p3', 'p2', 'p1'] });
  t.match(result.sentiment.recent, { count: 3, mean: -0.244, neutral: 1, negative: 2, ids: ['r3', 'r2', 'r1'] });
  t.equal(result.sentiment.change, -0.8114, '-0.244 - 0.5674');
  t.equal(result.sentiment.trend, 'worsening');
  t.same(
    result.sentiment.mostNegative.map(({ id }) => id),
    ['r2', 'r1'],
  );

  // 3 inbound + 1 reply; 3 + 3.
  t.same([result.volume.recent.count, result.volume.previous.count], [4, 6]);

  // Replies after 2, 6, 4 and 12 hours: median (4 + 6) / 2; at 0.9 × 3 = 2.7 lies 6 + 0.7 × (12 - 6).
  t.same(result.response.all, { count: 4, medianHours: 5, p90Hours: 10.2 });
  t.same(result.response.recent, { count: 1, medianHours: 12, p90Hours: 12, ids: ['r1'] });
  // 2, 4, 6: median 4; at 0.9 × 2 = 1.8 lies 4 + 0.8 × 2.
  t.match(result.response.previous, { count: 3, medianHours: 4, p90Hours: 5.6 });

  // r1 asked too but was answered; r3 came 5 days and 2 hours before; 30 days earlier nothing was open.
  t.match(result.openQuestions, { count: 1, ids: ['r3'], items: [{ id: 'r3', days: 5, thread: 'T6' }] });
  t.match(result.openQuestionsBefore, { count: 0, asOf: '2026-05-31T12:00:00.000Z' });
  // The last reply was on June 5 at 20:00: 24 days and 16 hours.
  t.match(result.silence, { last: { id: 'r3', days: 5 }, lastOutbound: { id: 'r1r', days: 24 } });

  // Export, export, import; (0.6369 - 0.2553 - 0.4767) / 3.
  t.match(result.topics[0], {
    topic: 'data',
    messages: 3,
    ids: ['r2', 'r1', 'p3'],
    negativeIds: ['r2', 'r1'],
    sentiment: -0.0317,
  });
  t.same(
    result.topics.map(({ topic }) => topic),
    ['data', 'errors', 'onboarding', 'contract'],
  );

  t.same(
    result.nextActions.map(({ action, priority, reason }) => [action, priority, reason.text]),
    [
      [
        'answer-question',
        'high',
        'Answer “Can you tell us how to renew the contract?”, asked by email and open for 5 days',
      ],
      ['talk-to-customer', 'high', 'Talk to the customer: sentiment went from 0.57 to -0.24'],
      ['answer-faster', 'medium', 'Answer faster: half of the replies took more than 12 hours, before it was 4 hours'],
      [
        'work-on-topic',
        'medium',
        'Work on data and reports: 2 of 3 messages about it are unhappy, as in “The import is terrible.”',
      ],
    ],
  );
});

t.test('the same facts in any order give the same result', async (t) => {
  t.same(await run(interactions), await run(interactions.toReversed()));
});

t.test('a customer nobody ever talked to', async (t) => {
  const result = await run([]);
  t.match(result, { topics: [], nextActions: [], openQuestions: { count: 0, items: [] } });
  t.same(result.silence, { last: null, lastInbound: null, lastOutbound: null });
  t.same([result.sentiment.recent.mean, result.sentiment.change, result.response.all.medianHours], [null, null, null]);
});

t.test('pairs questions and replies', async (t) => {
  const [base] = interactions as [(typeof interactions)[number]];
  const row = (id: string, direction: 'inbound' | 'outbound', at: string, more: object = {}) => ({
    ...base,
    id,
    externalId: id,
    direction,
    at,
    thread: null,
    text: 'Is it done?',
    ...more,
  });
  const open = async (...rows: object[]) => (await run(rows)).openQuestions.ids;
  const noon = '2026-06-20T12:00:00Z';
  t.same(
    await open(row('a', 'inbound', noon), row('b', 'outbound', '2026-06-20T12:00:01Z')),
    [],
    'same channel, no thread',
  );
  t.same(
    await open(row('a', 'inbound', noon), row('b', 'outbound', '2026-06-20T11:59:59Z')),
    ['a'],
    'an earlier reply',
  );
  t.same(await open(row('a', 'inbound', noon), row('b', 'outbound', noon)), ['a'], 'the same moment is not later');
  t.same(await open(row('a', 'inbound', noon), row('b', 'outbound', '2026-06-21T12:00:00Z', { channel: 'call' })), [
    'a',
  ]);
  t.same(await open(row('a', 'inbound', noon, { thread: 'x' }), row('b', 'outbound', '2026-06-21T12:00:00Z')), ['a']);
  t.same(await open(row('a', 'inbound', '2026-07-01T12:00:00Z')), [], 'what comes after asOf is not known yet');
  t.same(
    await open(row('a', 'inbound', '2026-06-20T14:00:00+02:00'), row('b', 'outbound', '2026-06-20T12:30:00z')),
    [],
    'time zones count',
  );
});

t.test('what counts as a question', async (t) => {
  for (const text of [
    'When? ',
    'Hello. Could you call me',
    'please advise',
    'Wann kommt die Lieferung？',
    'متى تصل الشحنة؟',
    'Πότε θα έρθει;',
    '“Really?”',
  ]) {
    t.ok(questionIn(text), text);
  }
  for (const text of ['See https://x.example/?a=1 for it.', '???', 'Fine; thanks', '> Is it done?\nIt is.', '']) {
    t.equal(questionIn(text), null, text);
  }
});

t.test('thousands of messages, the newest two thousand read', async (t) => {
  const text = 'The great product was slow this morning, and our team lost an hour on it! Could you look into this?';
  const many = Array.from({ length: 2_300 }, (_, index) => ({
    ...interactions[0],
    id: `m${index}`,
    externalId: `m${index}`,
    direction: index % 2 ? 'outbound' : 'inbound',
    thread: `t${index % 700}`,
    text,
    at: new Date(Date.parse(asOf) - index * 3_600_000).toISOString(),
  }));
  const { backend, requests } = await createCrmServer(t, 'C1', { interactions: many });
  const input = { customerId: 'C1', asOf };
  const before = process.cpuUsage();
  const result = await runAgent(interactionAgent, input, backend);
  const { user } = process.cpuUsage(before);
  t.match(result.read, { interactions: 2_000, truncated: true, limit: 2_000 });
  t.match(result.read.evidence, { query: '/api/customers/C1/interactions', count: 2_000 });
  t.equal(requests.length, 10, 'ten pages of 200');
  t.ok(user < 3_000_000, `took ${Math.round(user / 1_000)} ms of CPU`);
  t.comment(`${Math.round(user / 1_000)} ms of CPU, ${JSON.stringify(result).length} bytes`);
});

t.test('messages made to hurt', { timeout: 20_000 }, async (t) => {
  const hostile = [
    'A'.repeat(19_999) + 'a',
    'A1'.repeat(9_999) + 'a',
    '\n'.repeat(20_000),
    '> '.repeat(9_000),
    '?'.repeat(20_000),
  ];
  hostile.push(
    'constructor __proto__ hasOwnProperty toString',
    '\u202Eevil\u0007\u0000 ?',
    '💩'.repeat(5_000),
    '“?'.repeat(4_000),
  );
  const rows = hostile.map((text, index) => ({ ...interactions[0], id: `h${index}`, externalId: `h${index}`, text }));
  const result = await run(rows);
  t.equal(result.read.inbound, hostile.length);
  t.notMatch(JSON.stringify(result), /\\u0000|\u202E/);
});

t.test('a customer left alone', async (t) => {
  const old = interactions.slice(0, 6);
  // The last of the six is our reply of May 5 at 13:00: 55 days and 23 hours.
  t.same(
    (await run(old)).nextActions.map(({ action, priority, reason }) => [action, priority, reason.text]),
    [['get-in-touch', 'high', 'Get in touch: our last word was 55 days ago']],
  );
  const silent = (await run(old.filter(({ direction }) => direction === 'inbound'))).nextActions;
  t.same(
    silent.map(({ reason }) => reason.text),
    ['Get in touch: nothing we sent is on record'],
  );
  const asking = Array.from({ length: 5 }, (_, index) => ({ ...old[0], id: `q${index}`, externalId: `q${index}` }));
  const questions = await run(asking.map((row) => ({ ...row, text: 'Is it done?' })));
  t.equal(questions.openQuestions.count, 5);
  t.equal(questions.nextActions.filter(({ action }) => action === 'answer-question').length, 3);
});
