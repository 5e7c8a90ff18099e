import { createEmbedder } from '@flowstate/models';
import { createTestDatabase } from '@flowstate/test';
import type { Backend } from '@flowstate/workflow';
import t from 'tap';
import { knowledgeAnswer } from '../src/workflows/knowledge-answer.ts';
import { nextBestAction } from '../src/workflows/next-best-action.ts';
import { createTicketTriage } from '../src/workflows/ticket-triage.ts';
import { createCrmServer } from './fixtures/crm-server.ts';
import * as fixture from './fixtures/customer-fixture.ts';
import { runWorkflow } from './fixtures/run-workflow.ts';

const { asOf, facts } = fixture;
const { sql } = await createTestDatabase(t);
const embedder = createEmbedder({ kind: 'offline' });
t.teardown(() => embedder.close());
const ticketTriage = createTicketTriage({ first: embedder });
const id = '01900000-0000-7000-8000-00000000000';
const similar = [
  { id: `${id}a`, externalId: 'S1', name: 'One', similarity: 0.9, common: ['products'] },
  { id: `${id}b`, externalId: 'S2', name: 'Two', similarity: 0.8, common: ['products'] },
];
const recommendations = {
  id: `${id}c`,
  customer: { id: `${id}d`, externalId: 'C1' },
  basis: 'similar-customers',
  similar,
  items: [
    {
      kind: 'action',
      item: 'B',
      title: 'Offer B',
      score: 0.5,
      reasons: [
        {
          kind: 'won-by-similar',
          text: '1 of 2 similar customers bought B',
          customers: [{ id: `${id}a`, externalId: 'S1', similarity: 0.9, opportunities: [] }],
        },
      ],
    },
  ],
};

t.test('next-best-action ranks what can be done by its expected value and says how it was computed', async (t) => {
  const { backend } = await createCrmServer(t, 'C1', { ...fixture, recommendations });
  const { output } = await runWorkflow(sql, nextBestAction, { customerId: 'C1', asOf, limit: 20 }, { backend });
  const { actions, claims, writtenBy } = output;
  t.equal(writtenBy, 'template');
  const worth = actions.map(({ expectedValue }) => expectedValue ?? -1);
  t.same(
    worth,
    worth.toSorted((a, b) => b - a),
  );
  // 13,038 + 1,570.50, as in customer-insights: what a worsening mood puts at stake.
  t.match(actions[0], { id: 'a1', value: 'at-stake', expectedValue: 14_608.5 });
  const advance = actions.find(({ subject }) => subject === 'o1');
  t.match(advance, { action: 'advance-opportunity', value: 'gain', expectedValue: 13_038 });
  t.match(advance?.arithmetic?.text, /^Win probability \S+ × amount \$20,000 = \$13,038$/);
  const cited = advance?.arithmetic?.claims.map((one) => claims.find(({ id }) => id === one)?.text);
  t.match(cited, [/^Win probability of “Renewal 2027”: /, /^Amount of “Renewal 2027”: \$20,000/, /: \$13,038$/]);
  // One won deal with B, over 3,000; half of the customers like this one bought it.
  t.match(
    actions.find(({ action }) => action === 'offer-product'),
    { subject: 'B', value: 'gain', expectedValue: 1_500, arithmetic: { text: /50% × average won amount \$3,000/ } },
  );

  const nothing: Backend = () => Promise.reject(new Error('nothing may be read here'));
  const { output: inlined } = await runWorkflow(sql, nextBestAction, { facts, asOf, limit: 1 }, { backend: nothing });
  t.match(inlined, { actions: [{ expectedValue: 14_608.5 }] }, 'the same facts inline, nothing read');
  t.equal(inlined.actions.length, 1);
  t.equal(inlined.omitted, actions.length - 2, 'all but the one, and no offer');
});

t.test('knowledge-answer quotes the documents, and says when they do not answer', async (t) => {
  const { backend } = await createCrmServer(t, 'C1', {
    search: (query) =>
      query.includes('renew')
        ? fixture.documents
        : fixture.documents.map((one) => ({ ...one, similarity: query.includes('parrot') ? 0.33 : 0.1 })),
  });
  const ask = async (question: string) => (await runWorkflow(sql, knowledgeAnswer, { question }, { backend })).output;
  t.match(await ask('How do we renew the contract?'), {
    answered: true,
    note: null,
    writtenBy: 'extract',
    sentences: [{ text: 'To renew a contract, open Settings and choose Renew.', citations: ['q1'] }],
    citations: [{ id: 'q1', externalId: 'kb-17', quote: 'To renew a contract, open Settings and choose Renew.' }],
  });
  for (const question of ['How do I feed a parrot?', 'What is the weather?']) {
    t.match(await ask(question), {
      answered: false,
      sentences: [],
      citations: [],
      note: 'The documents do not answer this question.',
    });
  }
});

t.test('ticket-triage labels every ticket of a batch; one that fails costs the others nothing', async (t) => {
  const { backend } = await createCrmServer(t, 'C1', {
    search: (query) => (query.includes('renew') ? fixture.documents : []),
  });
  const broken: Backend = async (request, signal) => {
    if (JSON.stringify(request.body ?? '').includes('BREAK')) throw new Error('the index is on fire');
    return backend(request, signal);
  };
  const tickets = [
    { id: 't1', subject: 'Invoice', text: 'We were charged twice and nobody answers. This is terrible!' },
    { id: 't2', text: 'The portal is down, nobody can reach it!' },
    { id: 't3', text: 'BREAK' },
    { id: 't4', text: 'How do we renew our subscription?' },
    { id: 't5', text: 'Thanks a lot, the training was great.' },
  ];
  const { output, steps } = await runWorkflow(sql, ticketTriage, { tickets }, { backend: broken });
  t.match(output, {
    failed: 1,
    tickets: [
      {
        id: 't1',
        labels: { category: 'billing', priority: 'high', sentiment: 'negative', team: 'finance' },
        decidedBy: 'classifier',
        document: null,
        error: null,
      },
      { id: 't2', labels: { category: 'availability', priority: 'urgent', team: 'engineering' } },
      { id: 't3', labels: null, decidedBy: null, error: { code: 'step_error', message: /on fire/ } },
      { id: 't4', labels: { category: 'contract', priority: 'normal' }, document: { externalId: 'kb-17' } },
      { id: 't5', labels: { category: 'onboarding', priority: 'low', sentiment: 'positive' } },
    ],
  });
  t.ok(steps.some(({ name }) => name === 'ticket[3]/ticket-document'));
  const same = { tickets: tickets.slice(0, 1).flatMap((one) => [one, one]) };
  await t.rejects(runWorkflow(sql, ticketTriage, same, { backend }), { message: /tickets\.1\.id is given twice: t1/ });
});
