import { readFile } from 'node:fs/promises';
import t from 'tap';
import { readLabelledQueries } from '../src/search-eval/labelled-queries.ts';
import { judgeRanking } from '../src/search-eval/ranking-quality.ts';

const sample = new URL('../../../deploy/sample/', import.meta.url);

await t.test('an answer is judged as by hand', (t) => {
  const grades = { a: 3, b: 1, c: 2 };
  // Gains 7, 1, 3; discounts 1, log2(3), 2. The best order is a c b.
  const best = 7 + 3 / Math.log2(3) + 1 / 2;
  t.same(judgeRanking(['a', 'c', 'b', 'x'], grades, 3), { recall: 1, reciprocalRank: 1, ndcg: 1 });
  t.same(judgeRanking(['x', 'b', 'y', 'a'], grades, 3), {
    recall: 1 / 3,
    reciprocalRank: 1 / 2,
    ndcg: 1 / Math.log2(3) / best,
  });
  t.same(judgeRanking(['x', 'y', 'z', 'a'], grades, 3), { recall: 0, reciprocalRank: 0, ndcg: 0 }, 'too late');
  t.same(judgeRanking([], grades, 3), { recall: 0, reciprocalRank: 0, ndcg: 0 });
  t.same(judgeRanking(['a', 'a', 'c'], grades, 2).recall, 2 / 3, 'one document counts once');
  t.equal(judgeRanking(['c'], grades, 1).ndcg, 3 / 7, 'against the best that k allows');
  t.same(judgeRanking(['constructor', 'b'], { b: 1 }, 2), { recall: 1, reciprocalRank: 1 / 2, ndcg: 1 / Math.log2(3) });
  t.end();
});

await t.test('every bad line is named with its field', (t) => {
  const lines = [
    '{"query": "fine", "relevant": {"a": 3}}',
    '{"query": "", "relevant": {}}',
    '',
    '{"query": "x", "relevant": {"a": 4}}',
    '{"query": "x"}',
    'not JSON',
    '{"query": "x", "relevant": {}, "grade": 3}',
    '{"query": "x", "relevant": ["a"]}',
    String.raw`{"query": "a\u0000b", "relevant": {}}`,
  ];
  t.throws(() => readLabelledQueries(lines.join('\n'), 'queries.jsonl'), {
    exitCode: 2,
    message: new RegExp(
      [
        '^queries.jsonl:',
        '  line 2: query must not be empty.*',
        '  line 4: relevant.a must be <= 3',
        '  line 5: relevant is required',
        '  line 6: is not JSON',
        '  line 7: grade is not known here',
        '  line 8: relevant must be object',
        '  line 9: query must not contain the character U\\+0000$',
      ].join('\n'),
    ),
  });
  t.throws(() => readLabelledQueries('\n', 'queries.jsonl'), { message: /has no queries/ });
  t.throws(() => readLabelledQueries('?\n'.repeat(30), 'x'), { message: /line 20: is not JSON\n {2}and 10 more$/ });
  t.end();
});

await t.test('the sample set is large and mixed, and names documents that ship', async (t) => {
  const queries = readLabelledQueries(await readFile(new URL('search-queries.jsonl', sample), 'utf8'), 'sample');
  const documents = (await readFile(new URL('documents.ndjson', sample), 'utf8')).trim().split('\n');
  const texts = new Map(
    documents.map((line) => {
      const { externalId, title, text } = JSON.parse(line) as { externalId: string; title: string; text: string };
      return [externalId, `${title} ${text}`.toLowerCase()];
    }),
  );
  const count = (style: string) => queries.filter((query) => query.style === style).length;
  t.ok(count('paraphrase') >= 60 && count('keyword') >= 15 && count('none') >= 8);
  t.equal(new Set(queries.map(({ query }) => query)).size, queries.length);
  t.same(
    queries.flatMap(({ relevant }) => Object.keys(relevant).filter((id) => !texts.has(id))),
    [],
  );
  t.ok(queries.every(({ style, relevant }) => (style === 'none') === (Object.keys(relevant).length === 0)));
  t.ok(queries.every(({ style, relevant }) => style === 'none' || Object.values(relevant).includes(3)));
  for (const { style, query, relevant } of queries.filter((one) => one.style === 'paraphrase')) {
    const copied = Object.keys(relevant).filter((id) => texts.get(id)?.includes(query.toLowerCase()));
    t.same(copied, [], `${style}: ${query}`);
  }
});
