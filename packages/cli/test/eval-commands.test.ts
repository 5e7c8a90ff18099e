import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { EvaluationDetail } from '@flowstate/contracts';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startModelServer, startPlatform } from '@flowstate/test';
import t from 'tap';
import { flowstate as run } from './fixtures/run-cli.ts';

const recorded = await startModelServer(t, new URL('../../../services/worker/evals/recordings.yaml', import.meta.url));
const platform = await startPlatform(t, { env: { LLM_BASE_URL: recorded.url, LLM_MODEL: 'recorded' } });
const manager = await platform.as('manager');
const folder = await mkdtemp(join(tmpdir(), 'flowstate-eval-'));
t.teardown(() => rm(folder, { recursive: true }));

const flowstate = (...args: string[]) =>
  run(args, {
    env: {
      FLOWSTATE_URL: platform.gateway.url,
      FLOWSTATE_EMAIL: 'manager@flowstate.local',
      FLOWSTATE_PASSWORD: platform.secrets.password,
    },
  });

async function fileOf(name: string, lines: object[]): Promise<string> {
  await writeFile(join(folder, name), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  return join(folder, name);
}

await t.test('searches are judged through the API by labelled queries', async (t) => {
  const documents = [
    { externalId: 'refund', text: 'Refunds are paid to the original card within five working days.' },
    { externalId: 'sso', text: 'Single sign-on with SAML needs the metadata of the identity provider.' },
    { externalId: 'bread', text: 'A sourdough needs flour, water, salt and a night of rest.' },
  ];
  const { body } = await manager.post<{ run: { id: string } }>('/api/documents', documents);
  for await (const { event } of manager.events(body.run.id)) if (event === 'run.completed') break;
  const labels = [
    { query: 'how do I get my money back', style: 'paraphrase', relevant: { refund: 3 } },
    { query: 'sign in with our own identity provider', style: 'paraphrase', relevant: { sso: 3, refund: 1 } },
    { query: 'SAML metadata', style: 'keyword', relevant: { sso: 3 }, collection: 'knowledge' },
    { query: 'weather in Lisbon tomorrow', relevant: {} },
  ];
  const file = await fileOf('labels.jsonl', labels);
  const judged = await flowstate('search', 'eval', file, '--kind', 'semantic', '--k', '1');
  t.equal(judged.code, 0, judged.err);
  t.equal(
    judged.out,
    [
      'SEARCH    QUERIES          COUNT  RECALL@1       MRR@1  NDCG@1\n',
      'semantic  all              3      0.833          1.000  1.000\n',
      'semantic  paraphrase       2      0.750          1.000  1.000\n',
      'semantic  keyword          1      1.000          1.000  1.000\n',
      'semantic  nothing to find  1      left empty: 1\n',
    ].join(''),
  );
  const everything = ['--with', '{"threshold": -1}', '--json'];
  const json = await flowstate('search', 'eval', file, '--kind', 'semantic', ...everything);
  t.match(JSON.parse(json.out), [
    { kind: 'semantic', k: 10, groups: [{ group: 'all', recall: 1 }], unanswerable: { queries: 1, leftEmpty: 0 } },
  ]);

  const unknown = await fileOf('unknown.jsonl', [
    { query: 'x', relevant: { refund: 1, gone: 2 } },
    { query: 'y', relevant: { gone: 2, sso: 1 } },
    { query: 'z', relevant: { sso: 2 }, collection: 'elsewhere' },
  ]);
  t.match(await flowstate('search', 'eval', unknown), {
    code: 1,
    out: '',
    err: /^Labelled documents that are not there:\n {2}gone \(line 1, 2\)\n {2}sso in collection elsewhere \(line 3\)\n$/,
  });
  t.match(await flowstate('search', 'eval', file, '--collection', 'elsewhere'), {
    code: 1,
    err: /refund in collection elsewhere \(line 1, 2\)\n {2}sso in collection elsewhere \(line 2\)\n$/,
  });
  t.match(await flowstate('search', 'eval', file, '--kind', 'semantic', '--with', '{"colour": 1}'), {
    code: 1,
    err: /^semantic: POST \/api\/search\/semantic was refused \(400\): colour is not known here/,
  });
  const broken = await fileOf('broken.jsonl', [{ query: 'x', relevant: { a: 9 } }]);
  t.match(await flowstate('search', 'eval', broken), { code: 2, out: '', err: /line 1: relevant\.a must be <= 3/ });
  t.match(await flowstate('search', 'eval', join(folder, 'missing')), { code: 2, err: /ENOENT/ });
  t.match(await flowstate('search', 'eval', file, '--k', '0'), { code: 2, err: /1 to 100/ });
  t.match(await flowstate('search', 'eval', file, '--kind', 'psychic'), { code: 2, err: /Allowed choices/ });
});

await t.test('recommendations are judged by what was won later, beside popularity', async (t) => {
  const about = { segment: 'smb', employees: 100 };
  const numbers = [1, 2, 3, 4, 5, 6, 7];
  for (const n of numbers) {
    await manager.post('/api/customers', { ...about, externalId: `B${n}`, name: `Bank ${n}`, industry: 'banking' });
    if (n <= 5)
      await manager.post('/api/customers', { ...about, externalId: `H${n}`, name: `H ${n}`, industry: 'haulage' });
  }
  const win = (customer: string, product: string, openedAt: string, closedAt: string) =>
    manager.post('/api/opportunities', {
      externalId: `${customer}-${product}`,
      customer,
      product,
      owner: 'x',
      stage: 'won',
      openedAt: `${openedAt}T00:00:00Z`,
      closedAt: `${closedAt}T00:00:00Z`,
    });
  // When these were opened nobody had bought anything: no recommender could have known.
  for (const n of numbers.slice(0, 6)) await win(`B${n}`, 'Govern', '2025-01-01', '2025-02-01');
  for (const n of numbers.slice(0, 4)) await win(`H${n}`, 'Stream', '2025-01-01', '2025-02-01');
  // One more of each kind then buys what its kind buys; by mere popularity both would have been offered Govern first.
  await win('H5', 'Stream', '2025-03-01', '2025-04-01');
  await win('B7', 'Govern', '2025-03-02', '2025-04-01');

  const judged = await flowstate('search', 'eval-recommendations', '--k', '1,2');
  t.equal(judged.code, 0, judged.err);
  t.equal(
    judged.out,
    [
      'RECOMMENDER        CASES  HIT RATE@1  HIT RATE@2  MRR\n',
      'similar customers  2      1.000       1.000       1.000\n',
      'popularity         2      0.500       1.000       0.750\n',
    ].join(''),
  );
  const latest = await flowstate('search', 'eval-recommendations', '--cases', '1', '--json');
  t.match(JSON.parse(latest.out), [{ cases: 1 }, { cases: 1, mrr: 1, hitRate: { 1: 1, 3: 1 } }]);
  t.match(await flowstate('search', 'eval-recommendations', '--k', '0'), { code: 2, err: /1 to 50/ });
});

type Judged = {
  id: string;
  version: string;
  models: string[];
  summary: { completed: number; outputTokens: number; grades: { grader: string; score: number }[] };
  comparison: { grader: string; verdict: string; difference: number }[];
  cases: { id: string; faults: string[] }[];
};

async function evaluated(...args: string[]) {
  const { code, out, err } = await flowstate('eval', ...args, '--json');
  if (out === '') throw new Error(err);
  const told = JSON.parse(out) as Judged;
  return { code, ...told, scores: Object.fromEntries(told.summary.grades.map(({ grader, score }) => [grader, score])) };
}

await t.test('workflows are evaluated on recorded answers of a model', async (t) => {
  const lines = (await readFile(new URL('../../../deploy/sample/documents.ndjson', import.meta.url), 'utf8')).split(
    '\n',
  );
  const wanted = ['KB-010', 'KB-012', 'KB-041', 'KB-045', 'KB-109'];
  const documents = lines
    .filter((line) => wanted.some((id) => line.includes(`"${id}"`)))
    .map((line) => JSON.parse(line) as object);
  const { body } = await manager.post<{ run: { id: string } }>('/api/documents', documents);
  for await (const { event } of manager.events(body.run.id)) if (event === 'run.completed') break;

  const two = ['--case', 'C-0003 for executive', 'C-0004 for sales'];
  const briefings = await evaluated('customer-insights', '--against', 'offline', ...two);
  t.match(briefings, { code: 0, version: '2', models: ['recorded'] }, JSON.stringify(briefings.cases));
  t.same(briefings.scores, { schema: 1, exact: 1, 'figure-match': 1 });
  t.same([...new Set(briefings.comparison.map(({ verdict }) => verdict))], ['same'], 'words change, figures do not');
  t.equal(briefings.summary.outputTokens, 3 * 120, 'one answer was sent back');
  const before = await evaluated('customer-insights', '--against', 'version:1', ...two);
  t.match(before.comparison, [{ verdict: 'same' }, { verdict: 'same' }, { verdict: 'same' }]);

  const actions = await evaluated('next-best-action', '--case', 'C-0003');
  t.match(actions, { models: ['recorded'], scores: { exact: 1, 'figure-match': 1 } }, JSON.stringify(actions.cases));

  // A stored customer: its facts, what others bought, and an answer that does not fit, so that the template speaks.
  const stored = await flowstate('run', 'next-best-action', '--input', '{"customerId":"H1"}', '--wait');
  const { output } = JSON.parse(stored.out) as { output: { actions: unknown[]; modelFailure: string } };
  t.match(output, { writtenBy: 'template', actions: [{ action: 'offer-product', subject: 'Govern' }] });
  t.type(output.modelFailure, 'string');

  const asked = [
    'We keep bouncing between your sign-in screen and our identity server and never get in',
    'can we pay later than a month after the bill',
    'the same customer shows up three times since we loaded the list',
    'can the platform print shipping labels for parcels',
  ];
  const answers = await evaluated('knowledge-answer', '--case', ...asked);
  t.match(
    answers,
    { models: ['recorded'], scores: { exact: 1, 'citation-supported': 1 } },
    JSON.stringify(answers.cases),
  );

  const tickets = await evaluated('ticket-triage', '--against', 'offline', '--min-score', '0.99');
  t.equal(tickets.code, 1, 'a score is below');
  t.equal(tickets.summary.completed, 27);
  const exact = tickets.comparison.find(({ grader }) => grader === 'exact');
  t.match(exact, { verdict: 'better' });
  t.ok((tickets.scores['exact'] ?? 0) > 0.9, JSON.stringify(tickets.cases));
  t.same(recorded.violations, []);

  t.match(await flowstate('eval', '--list', 'ticket-triage'), {
    code: 0,
    out: /^ID .*\n\S+ +\S+Z +ticket-triage 1 \(recorded\) +ticket-triage\.jsonl +27\/27 +schema 1\.000, exact 0\.9/,
  });
  t.match(await flowstate('eval', '--show', tickets.id), {
    code: 0,
    out: /ticket-triage 1 \(recorded\) on [\s\S]*Faults/,
  });
  const one = ['next-best-action', '--case', 'C-0003', '--no-store'];
  for (const against of [actions.id, 'model:recorded']) {
    const again = await evaluated(...one, '--against', against);
    t.match(again, { id: null, comparison: [{ verdict: 'same' }, { verdict: 'same' }, { verdict: 'same' }] });
  }
  t.match(await flowstate('eval', ...one, '--against', tickets.id), { code: 1, err: /is of ticket-triage/ });
  t.match(await flowstate('eval', ...one, '--against', briefings.id.replace(/.$/, '0')), { code: 1, err: /404|is of/ });
  t.match(await flowstate('eval', ...one, '--against', 'model:nobody'), {
    code: 1,
    err: /with LLM_MODEL=nobody first/,
  });
  t.match(await flowstate('eval', ...one, '--against', 'version:99'), { code: 1, err: /no version 99 of workflow/ });
  t.match(await flowstate('eval', 'next-best-action', '--case', 'C-9'), { code: 2, err: /has no case C-9/ });
  const nothing = await fileOf('nothing.jsonl', [
    { id: 'x', input: { ids: { $documents: ['gone'] } }, graders: ['schema'] },
  ]);
  t.match(await flowstate('eval', 'document-ingest', '--dataset', nothing), {
    code: 1,
    err: /line 1: there is no document gone/,
  });
  const refused = await fileOf('refused.jsonl', [{ id: 'x', input: { colour: 1 }, graders: ['schema'] }]);
  t.match(await flowstate('eval', 'ticket-triage', '--dataset', refused), {
    code: 1,
    err: /refused\.jsonl: line 1: [\s\S]*input\.tickets is required/,
  });

  // What is kept is told to those who may see all, and to whoever kept it.
  const [agent, analyst] = await Promise.all([platform.as('agent'), platform.as('analyst')]);
  t.equal((await agent.get(`/api/evaluations/${tickets.id}`)).status, 404);
  t.same((await agent.get<{ items: unknown[] }>('/api/evaluations')).body.items, []);
  t.equal((await analyst.get(`/api/evaluations/${tickets.id}`)).status, 200);
  t.equal((await analyst.post('/api/evaluations', {})).status, 403);
  const { body: kept } = await analyst.get<EvaluationDetail>(`/api/evaluations/${actions.id}`);
  const { id: _, summary: __, principalId: ___, createdAt: ____, ...told } = kept;
  const twice = await agent.post('/api/evaluations', { ...told, cases: [...told.cases, ...told.cases] });
  t.match(twice, { status: 400, body: { errors: [{ field: 'cases.1.id' }] } });
  t.match(await agent.post('/api/evaluations', told), { status: 201, body: { summary: kept.summary } });
});
