import { readdirSync, readFileSync } from 'node:fs';
import { graderNames, summarize, type EvaluatedCase } from '@flowstate/contracts';
import t from 'tap';
import { compare } from '../src/eval/compare.ts';
import { readDataset, type DatasetCase } from '../src/eval/dataset.ts';
import { gradeCitations } from '../src/eval/graders/citation-supported.ts';
import { gradeExact } from '../src/eval/graders/exact.ts';
import { gradeFigures } from '../src/eval/graders/figure-match.ts';
import { createSchemaGrader } from '../src/eval/graders/schema.ts';
import { pairedBootstrap, wilson } from '../src/eval/statistics.ts';
import { flowstate } from './fixtures/run-cli.ts';

const datasets = new URL('../../../services/worker/evals/', import.meta.url);
const expecting = (expect: DatasetCase['expect']): DatasetCase => ({
  id: 'x',
  input: {},
  graders: [...graderNames],
  line: 1,
  ...(expect && { expect }),
});

t.test('every shipped dataset is one', async (t) => {
  const files = readdirSync(datasets).filter((file) => file.endsWith('.jsonl'));
  t.same(
    files.toSorted(),
    ['customer-insights', 'document-ingest', 'knowledge-answer', 'next-best-action', 'ticket-triage'].map(
      (name) => `${name}.jsonl`,
    ),
  );
  for (const file of files) {
    const text = readFileSync(new URL(file, datasets), 'utf8');
    const { cases, hash } = readDataset(text, file);
    t.ok(cases.length >= 2, file);
    t.equal(readDataset(text.replaceAll('":', '" :'), 'again').hash, hash, 'how it is laid out is not what it says');
    t.not(readDataset(text.split('\n').slice(1).join('\n'), 'less').hash, hash);
  }
});

t.test('a bad dataset is refused with line and field', async (t) => {
  const good = { id: 'a', input: {}, graders: ['schema'] };
  const lines = [
    JSON.stringify(good),
    '{"id": "b"',
    JSON.stringify({ ...good, id: 'c', graders: ['vibes'] }),
    JSON.stringify({ ...good, id: 'd', colour: 1 }),
    JSON.stringify(good),
    JSON.stringify({ ...good, id: 'e', graders: ['exact'] }),
    JSON.stringify({ ...good, id: 'f', expect: { exact: { answered: true } } }),
  ];
  t.throws(() => readDataset(lines.join('\n'), 'my.jsonl'), {
    exitCode: 2,
    message: [
      'my.jsonl:',
      'line 2: is not JSON',
      'line 3: graders.0 must be one of schema, exact, figure-match, citation-supported',
      'line 4: colour is not known here',
      'line 5: id a is that of line 1',
      'line 6: expect.exact is required by the grader exact',
    ].join('\n  '),
  });
  t.throws(() => readDataset('\n\n', 'my.jsonl'), { message: /has no cases/ });
});

t.test('graders say what is wrong', async (t) => {
  const output = {
    answered: true,
    kpis: [{ name: 'won', value: 12.5 }],
    claims: [{ id: 'c1', text: 'Won “7 of 9”: $12' }],
    highlights: [
      { text: 'We won $12 by “Plan 9” on 2026-01-31.', claims: ['c1'] },
      { text: 'We won $13.', claims: ['c1'] },
      { text: 'We won 7.', claims: ['c1'] },
      { text: 'Cites nothing there is.', claims: ['c9'] },
    ],
  };
  t.same(gradeExact(output, expecting({ exact: { '/answered': true, '/kpis/0': { name: 'won', value: 1 } } })), {
    score: 0.5,
    faults: ['/kpis/0 is {"name":"won","value":12.5}, not {"name":"won","value":1}'],
  });
  const figures = { '/kpis/[name=won]/value': 12.5, '/kpis/[name=lost]/value': 3 };
  t.same(gradeFigures(output, expecting({ figures })), {
    score: 2 / 6,
    faults: [
      '/kpis/[name=lost]/value is nothing, not 3',
      '"We won $13." holds 13, which none of its claims says',
      '"We won 7." holds 7, which none of its claims says',
      '"Cites nothing there is." cites c9, which is no claim',
    ],
  });
  t.same(gradeFigures({ text: 'Nothing is computed 1' }, expecting(undefined)), { score: 1, faults: [] });

  const answer = {
    sentences: [
      { text: 'It takes 12 days.', citations: ['q1'] },
      { text: 'It takes 13 days.', citations: ['q1'] },
      { text: 'It is lovely.', citations: [] },
    ],
    citations: [
      { id: 'q1', documentId: 'd1', externalId: 'KB-1', quote: 'takes 12\n days' },
      { id: 'q2', documentId: 'd1', externalId: 'KB-1', quote: 'takes 14 days' },
    ],
  };
  const textOf = async (id: string) => (id === 'd1' ? 'Delivery  takes 12 days.' : null);
  t.same(await gradeCitations(answer, expecting({ cites: ['KB-2'] }), textOf), {
    score: 2 / 6,
    faults: [
      '"takes 14 days" does not stand in KB-1',
      '"It takes 13 days." holds 13, which is in none of its quotes',
      '"It is lovely." cites nothing',
      'cites KB-1, and none of KB-2',
    ],
  });
  t.same(await gradeCitations({ sentences: [], citations: [] }, expecting({ cites: [] }), textOf), {
    score: 1,
    faults: [],
  });
  const ofSchema = createSchemaGrader({ type: 'object', required: ['a'], properties: { a: { type: 'number' } } });
  t.same(
    [ofSchema({ a: 1 }), ofSchema({ a: 'x' })],
    [
      { score: 1, faults: [] },
      { score: 0, faults: ['output.a must be number'] },
    ],
  );
});

t.test('intervals are those of the books', async (t) => {
  // Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
  const rounded = (passed: number, of: number) => wilson(passed, of).map((bound) => Number(bound.toFixed(4)));
  t.same(rounded(81, 263), [0.2553, 0.3662]);
  t.same(rounded(15, 148), [0.0624, 0.1605]);
  t.same(rounded(0, 20), [0, 0.1611]);
  t.same(rounded(1, 29), [0.0061, 0.1718]);
  // Of normal differences the percentile interval is about the t interval: mean 0.5, standard error 0.1.
  const differences = Array.from({ length: 400 }, (_, i) => 0.5 + (i % 2 === 0 ? 2 : -2));
  const [low, high] = pairedBootstrap(differences);
  t.ok(Math.abs(low - 0.304) < 0.03 && Math.abs(high - 0.696) < 0.03, `${low} to ${high}`);
  t.same(pairedBootstrap(differences), [low, high], 'the same every time');
  t.same(pairedBootstrap([0, 0, 0]), [0, 0]);

  const result = (scores: number[], of = (i: number) => `case ${i}`) => ({
    cases: scores.map((exact, i): EvaluatedCase => {
      const told = { state: 'completed' as const, faults: [], ms: 10 * (i + 1), costUsd: i === 0 ? 0.5 : null };
      return { id: of(i), runId: 'r', scores: { exact }, inputTokens: 2, outputTokens: 1, ...told };
    }),
  });
  const good = result(Array.from({ length: 12 }, () => 1));
  const bad = result(Array.from({ length: 12 }, (_, i) => (i < 9 ? 0 : 1)));
  t.match(compare(good, bad), [{ grader: 'exact', cases: 12, difference: 0.75, verdict: 'better' }]);
  t.match(compare(bad, good), [{ verdict: 'worse' }]);
  t.match(compare(good, good), [{ verdict: 'same', interval: [0, 0] }]);
  t.match(compare(result([1, 0, 1]), result([0, 1, 1])), [{ verdict: 'unclear', difference: 0 }]);
  t.same(
    compare(
      good,
      result([1], () => 'another case'),
    ),
    [],
  );
  t.match(summarize(good.cases), {
    cases: 12,
    grades: [{ grader: 'exact', score: 1, passed: 12 }],
    medianMs: 60,
    p95Ms: 120,
    inputTokens: 24,
    costUsd: 0.5,
  });
});

t.test('a wrong command is refused in one line, before anything is asked', async (t) => {
  t.match(await flowstate(['eval']), { code: 2, err: /Which workflow\? Or --list/ });
  t.match(await flowstate(['eval', 'no-such-thing']), { code: 2, err: /No dataset: ENOENT/ });
  t.match(await flowstate(['eval', '../../etc/passwd']), { code: 2, err: /is no name of a workflow/ });
  t.match(await flowstate(['eval', 'x', '--against', 'yesterday']), { code: 2, err: /It must be offline, version:/ });
  t.match(await flowstate(['eval', 'x', '--min-score', '2']), { code: 2, err: /It must be 0 to 1/ });
  t.match(await flowstate(['eval', 'x', '--concurrency', '0']), { code: 2, err: /whole number from 1 to 50/ });
  t.match(await flowstate(['eval', '--help']), { code: 0, out: /citation-supported {2}quotes stand/ });
});
