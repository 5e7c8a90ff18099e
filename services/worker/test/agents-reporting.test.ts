import type { Customer } from '@flowstate/contracts';
import t from 'tap';
import { createClaimBook } from '../src/agents/claims.ts';
import { assertTraceable } from '../src/agents/figure-check.ts';
import { formatFigure } from '../src/agents/figure-format.ts';
import { integrationAgent } from '../src/agents/integration.ts';
import { interactionAgent } from '../src/agents/interaction.ts';
import { issuesOf } from '../src/agents/issues.ts';
import { knowledgeAgent } from '../src/agents/knowledge.ts';
import { escapeMarkdown } from '../src/agents/markdown.ts';
import { reportingAgent, type Report } from '../src/agents/reporting.ts';
import { salesIntelligenceAgent } from '../src/agents/sales-intelligence.ts';
import { day, figure, quote, say } from '../src/agents/statement.ts';
import { createCrmServer, runAgent, type CrmData } from './fixtures/crm-server.ts';
import * as fixture from './fixtures/customer-fixture.ts';

const { asOf } = fixture;
const stored = { ...fixture, search: (query: string) => (query.includes('renew') ? fixture.documents : []) };

async function report(t: Pick<Tap, 'teardown'>, data: CrmData, audience: Report['audience'] = 'executive') {
  const { backend } = await createCrmServer(t, 'C1', data);
  const about = { customerId: 'C1', asOf };
  const interaction = await runAgent(interactionAgent, about, backend);
  const results = {
    interaction,
    sales: await runAgent(salesIntelligenceAgent, about, backend),
    integration: await runAgent(integrationAgent, about, backend),
    knowledge: await runAgent(knowledgeAgent, { issues: issuesOf(interaction) }, backend),
  };
  return runAgent(reportingAgent, { ...about, audience, ...results }, backend);
}
type Tap = typeof t;

t.test('key figures with trend, each with its claims', async (t) => {
  const { kpis, claims } = await report(t, stored);
  t.same(
    kpis.map(({ name, value, previous, direction, better }) => [name, value, previous, direction, better]),
    [
      ['sentiment', -0.244, 0.5674, 'down', false],
      ['interactions', 4, 2, 'up', null], // 6 in ninety days
      ['response-time', 12, 4, 'up', false],
      ['open-questions', 1, 0, 'up', false],
      ['days-silent', 5, null, 'unknown', null],
      ['expected-value', 14_608.5, null, 'unknown', null],
      ['win-rate', 0.75, null, 'unknown', null],
      ['won-revenue', 36_000, 0, 'up', true],
      ['integration-health', 62.5, null, 'unknown', null],
      ['open-incidents', 1, 1, 'flat', null],
    ],
  );
  const claimOf = (id: string | null | undefined) => claims.find((claim) => claim.id === id);
  for (const { value, previous, claim, previousClaim } of kpis) {
    t.equal(claimOf(claim)?.value ?? null, value);
    t.equal(claimOf(previousClaim)?.value ?? null, previous);
  }
  t.same(claimOf(kpis[7]?.claim)?.evidence, { kind: 'opportunity', ids: ['id-h1', 'id-h2', 'id-h3'] });
  t.same(claimOf(kpis[3]?.previousClaim)?.evidence, { kind: 'customer', ids: ['C1'] }, 'a zero points at the customer');
  const chance = claims.find(({ text }) => text === 'Win probability of “Renewal 2027”: 65.2%');
  t.same(chance?.evidence, { kind: 'opportunity', ids: ['id-o1'] });
  t.same(
    chance?.from?.map((id) => claimOf(id)?.text),
    [
      'Overall win rate: 60%',
      'Win rate of those that entered stage “Proposal”, shrunk to the overall rate: 63.6%',
      'Win rate of product “A”, shrunk to the overall rate: 64.7%',
      'Win rate of owner “Ann”, shrunk to the overall rate: 63.3%',
      'Win rate of opportunities still open at an age of “31-60” days, shrunk to the overall rate: 57%',
    ],
  );
  const expected = claims.find(({ text }) => text === 'Expected value of “Renewal 2027”: $13,038');
  t.same(
    expected?.from?.map((id) => claimOf(id)?.value),
    [0.6519, 20_000],
  );
});

t.test('every audience reads its own part, every reference leads somewhere', async (t) => {
  const titles: Record<string, string[]> = {};
  for (const audience of ['executive', 'sales', 'support'] as const) {
    const { briefing, highlights, claims } = await report(t, stored, audience);
    titles[audience] = briefing.sections.map(({ id }) => id);
    const ids = new Set(claims.map(({ id }) => id));
    const used = new Set([...briefing.markdown.matchAll(/\[(c\d+)\]/g)].map(([, id]) => id));
    for (const claim of claims) for (const id of claim.from ?? []) used.add(id);
    t.same(used.symmetricDifference(ids), new Set(), 'all claims are used, all references are claims');
    for (const { text, claims: refs } of [...highlights, ...briefing.sections.flatMap(({ items }) => items)]) {
      for (const id of refs) {
        const claim = claims.find((one) => one.id === id);
        t.ok(claim && text.includes(formatFigure(claim.value, claim.unit)), `${id} in: ${text}`);
      }
    }
    t.match(
      briefing.markdown,
      /\n- Sentiment is worsening: -0\.24 in the last thirty days, 0\.57 in the ninety before\. \[c1\] \[c2\]\n/,
    );
    t.match(
      briefing.markdown,
      'The knowledge base says in “Renewing a contract” (similarity 0.81): “To renew a contract, open Settings',
    );
  }
  t.same(titles, {
    executive: ['situation', 'business', 'risks', 'open-issues', 'next-actions', 'basis'],
    sales: ['pipeline', 'risks', 'history', 'relationship', 'technology', 'next-actions', 'basis'],
    support: ['open-issues', 'topics', 'service', 'technology', 'business', 'next-actions', 'basis'],
  });
});

t.test('the same facts give the same report', async (t) => {
  t.same(await report(t, stored), await report(t, stored));
});

t.test('a customer with no rows at all', async (t) => {
  const { kpis, briefing } = await report(t, { customer: fixture.customer }, 'support');
  t.same(
    kpis.filter(({ value }) => value !== null).map(({ name, value }) => [name, value]),
    [
      ['interactions', 0],
      ['open-questions', 0],
      ['won-revenue', 0],
      ['open-incidents', 0],
    ],
  );
  t.match(
    briefing.markdown,
    /No question is open\.[^]*No known topic[^]*No integration is set up\.[^]*Nothing is due\./,
  );
});

t.test('words of others stay words', async (t) => {
  const nasty =
    '# <script>alert(1)</script> [c1] [x](javascript:alert(2)) ![i](http://evil.example/3.png) `c` **b** | 99 ” “ \n\n- www.evil.example \u202Eabc $x$ <!-- &lt; a@b.example';
  const [message] = fixture.interactions.slice(-1);
  const [open] = fixture.openOpportunities;
  const [link] = fixture.integrations.slice(1);
  const data: CrmData = {
    ...stored,
    customer: { ...fixture.customer, name: nasty } satisfies Customer,
    interactions: [{ ...message, text: `${nasty}?` }],
    opportunities: [{ ...open, name: nasty, product: nasty, stage: nasty.slice(0, 60) }],
    integrations: [{ ...link, name: nasty, incidents: [{ openedAt: asOf, closedAt: null, summary: nasty }] }],
    search: () => fixture.documents.map((document) => ({ ...document, title: nasty, text: `${nasty}.` })),
  };
  for (const audience of ['executive', 'sales', 'support'] as const) {
    const { briefing, claims } = await report(t, data, audience);
    t.notMatch(
      briefing.markdown,
      /<(?!\s)|(?<!\\)\[(?!c\d)|(?<!\\):\/\/|www\.|(?<!\\)[`*@$](?![\d])|\u202E/,
      'no markup comes through',
    );
    const ids = new Set(claims.map(({ id }) => id));
    for (const [, id] of briefing.markdown.matchAll(/(?<!\\)\[(c\d+)\]/g)) t.ok(ids.has(id as string));
    for (const line of briefing.markdown.split('\n'))
      t.match(line, /^(?:# Customer|## |- |\||For |$)/, 'no line begins with theirs');
  }
});

t.test('Unicode comes through whole', async (t) => {
  const name = '株式会社 Müller & Søn 👩‍👩‍👧‍👦 ½ ٣';
  const { briefing } = await report(t, { ...stored, customer: { ...fixture.customer, name } });
  t.match(briefing.markdown, '# Customer insight: “株式会社 Müller & Søn 👩‍👩‍👧‍👦 ½ ٣”');
  t.equal(briefing.title, `Customer insight: “${name}”`);
});

t.test('a number without a claim is refused', async (t) => {
  const book = createClaimBook();
  const five = figure('things', 1_500, 'count', { kind: 'interaction', ids: ['a'] });
  book.sentence(say`There are ${five} of ${quote('7 Dwarfs')} since ${day('2026-01-02')}`);
  const check = (markdown: string) => () => assertTraceable(markdown, book);
  t.doesNotThrow(check('There are 1,500 of “7 Dwarfs” since 2026-01-02 [c1]'));
  t.throws(check('There are 1,500 of them'), /without a claim: 1,500/, 'no reference');
  t.throws(check('There are 1,500 of them\n[c1]'), /line 1/, 'the reference is on another line');
  t.throws(check('There are 1,501 [c1]'), /without a claim: 1,501/);
  t.throws(check('There are 1500 [c1]'), /without a claim/, 'not as it is written');
  t.throws(check('There are 1,500 [c1], or ٣'), /without a claim: ٣/, 'digits of any script');
  t.throws(check('There are 1,500 [c2]'), /reference to nothing: c2/);
  t.throws(check('“8 Dwarfs”'), /unknown words/);
  t.throws(check('since 2026-01-03'), /unknown date/);
  t.throws(() => say`There are 5 of ${five}`, /without evidence/, 'not even built');
  t.throws(() => say`There are ${'5'}`, /without evidence/);
});

t.test('figures as written', async (t) => {
  t.same(
    [
      formatFigure(1_234_567, 'count'),
      formatFigure(1_570.5, 'usd'),
      formatFigure(-12, 'usd'),
      formatFigure(0.6519, 'ratio'),
      formatFigure(-0.001, 'score'),
      formatFigure(1, 'days'),
      formatFigure(10.25, 'hours'),
      formatFigure(62.5, 'points'),
    ],
    ['1,234,567', '$1,570.50', '-$12', '65.2%', '0.00', '1 day', '10.3 hours', '62.5/100'],
  );
  t.equal(escapeMarkdown('a_b*c'), String.raw`a\_b\*c`);
});
