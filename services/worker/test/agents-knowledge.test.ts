import t from 'tap';
import { knowledgeAgent } from '../src/agents/knowledge.ts';
import { passageFor } from '../src/agents/passage.ts';
import { createCrmServer, runAgent } from './fixtures/crm-server.ts';
import { documents } from './fixtures/customer-fixture.ts';

const [document] = documents as [(typeof documents)[number]];

t.test('cites the passage that answers, and says when there is none', async (t) => {
  const { backend, requests } = await createCrmServer(t, 'C1', {
    search: (query) => (query.includes('renew') ? documents : []),
  });
  const issues = [
    { kind: 'question' as const, topic: null, text: 'How do we renew the contract?', ids: ['r3'] },
    { kind: 'topic' as const, topic: 'data', text: 'data: The import is terrible.', ids: ['r2'] },
  ];
  const result = await runAgent(knowledgeAgent, { issues }, backend);
  t.same(result.issues[0]?.citations, [
    {
      documentId: document.id,
      externalId: 'kb-17',
      title: 'Renewing a contract',
      similarity: 0.8123,
      quote: 'To renew a contract, open Settings and choose Renew.',
    },
  ]);
  t.match(result.issues[1], { found: false, citations: [], note: 'Nothing relevant was found in the knowledge base.' });
  t.equal(requests.length, 2);
  t.same(await runAgent(knowledgeAgent, { issues: [] }), { issues: [] }, 'nothing asked, nothing searched');
});

t.test('a quote is always part of the text', async (t) => {
  const texts = [
    'One. ' + 'word '.repeat(200),
    'x'.repeat(1_000),
    '👩‍👩‍👧‍👦'.repeat(100),
    `${'a'.repeat(239)}💩💩`,
    '  Leading and trailing.  \r\n\r\n  Second  line \t here?  ',
    '如何续订合同？请打开设置。',
    'Dr. Smith met J. R. R. at 5 p.m. v1.2.3 is out; see https://x.example/a?b=c. End',
  ];
  for (const text of texts) {
    const quote = passageFor('how to renew? word', text);
    if (quote === null) {
      t.notMatch(text, /\p{L}/u);
      continue;
    }
    t.ok(text.includes(quote), quote.slice(0, 40));
    t.ok(quote.length > 0 && quote.length <= 240);
    t.ok(quote.isWellFormed());
  }
  t.equal(passageFor('x', '--- 42 ---'), null);
  t.equal(
    passageFor('prices', 'Nothing here. A price is a number. Prices rise.'),
    'A price is a number.',
    'the first of equals',
  );
});
