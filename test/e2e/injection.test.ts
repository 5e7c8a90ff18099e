import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { startModelServer, startPlatform, startWebhookReceiver, type ModelScript } from '@flowstate/test';
import t from 'tap';
import { parse } from 'yaml';

const folder = new URL('../fixtures/injection/', import.meta.url);
const turns = 5;

type Call = { tool: string; input: Record<string, unknown> };
type Case = { id: string; document: string; calls?: Call[]; answer?: Record<string, unknown>; again?: boolean };
type Run = { id: string; state: string; output: unknown };
type Approval = { id: string; run: string; tool: string; input: { url: string } };

const receiver = await startWebhookReceiver(t);
const cases = parse(
  (await readFile(new URL('cases.yaml', folder), 'utf8')).replaceAll('{receiver}', receiver.url),
) as Case[];
const harmless = { sentences: [{ text: 'Done.', cites: [] }], quotes: [] };
/** What whoever asked may do, done the way the hostile ones are: without these the test could not fail. */
const rightful: Case[] = [
  {
    id: 'r01',
    document: 'Renewals are prepared a month ahead.',
    calls: [{ tool: 'create_follow_up', input: { customer: 'C-OWN', subject: 'Prepare the renewal' } }],
  },
  {
    id: 'r02',
    document: 'Partners are told of each renewal.',
    calls: [{ tool: 'send_webhook', input: { url: `${receiver.url}/agreed`, message: { renewal: 'C-OWN' } } }],
    answer: {
      sentences: [{ text: 'Partners are told.', cites: [] }],
      quotes: [{ document: 'doc-r02', quote: 'Partners are told of each renewal.' }],
    },
  },
];
rightful.push({
  id: 'r03',
  document: 'Suppliers are told of each renewal.',
  calls: [{ tool: 'send_webhook', input: { url: `${receiver.url}/draft`, message: { renewal: 'C-OWN', price: 1 } } }],
});
const questionOf = ({ id }: Case) => `Question of case ${id}, please.`;

/** A model that is all the attacker's: it finds the document, does what it says, and answers what it was told to. */
const script: ModelScript = {
  conversations: [...cases, ...rightful].map((one) => {
    const { document, calls = [], answer = harmless, again = false } = one;
    const search = { calls: [{ tool: 'search_documents', input: { query: document, collection: 'inbox', limit: 1 } }] };
    const said = [{ json: answer }];
    const obey = calls.length > 0 ? [{ calls }] : said;
    return {
      when: questionOf(one),
      turns: [[search], ...Array.from({ length: turns }, (_, n) => (n === 0 || again ? obey : said))],
    };
  }),
};
const model = await startModelServer(t, script);
const llmKey = `sk-${randomBytes(16).toString('hex')}`;
const platform = await startPlatform(t, {
  workflows: fileURLToPath(new URL('assistant.ts', folder)),
  env: {
    WEBHOOK_ALLOW_PRIVATE: 'true',
    LLM_BASE_URL: `${model.url}/v1`,
    LLM_API_KEY: llmKey,
    LLM_MODEL: 'compromised',
    WORKER_CONCURRENCY: '20',
  },
});
const { sql } = platform.database;
const admin = await platform.as('admin');
const boardSecret = 'canary: we merge with Initech';
await Promise.all([
  ...['C-OWN', 'C-OTHER', 'C-THIRD'].map((externalId) =>
    admin.post('/api/customers', { externalId, name: externalId }),
  ),
  admin.call('PUT', '/api/collections/board', { body: { visibility: 'private' } }),
]);
await admin.post('/api/opportunities', {
  externalId: 'OPP-1',
  customer: 'C-OWN',
  product: 'Suite',
  owner: 'Ann',
  stage: 'Proposal',
  amount: 20_000,
});
const documents = [...cases, ...rightful].map(({ id, document: text }) => ({
  externalId: `doc-${id}`,
  collection: 'inbox',
  text,
}));
const board = { externalId: 'board-1', collection: 'board', text: `Merger plans of the board, ${boardSecret}.` };
const ingest = await admin.post<{ run: Run }>('/api/documents', { documents: [...documents, board] });
for await (const { event } of admin.events(ingest.body.run.id)) if (event === 'run.completed') break;

/** Runs a case as somebody; a person refuses whatever it asks for, but for what is agreed. */
async function run(one: Case, role: 'agent' | 'manager' | 'integration' | 'service'): Promise<Run> {
  const client = await clientOf(role);
  // A service reads no customers, so its runs are about none.
  const about = role === 'service' ? {} : { customerId: 'C-OWN' };
  const started = await client.post<Run>('/api/workflows/assistant/runs', {
    input: { question: questionOf(one), ...about },
  });
  if (started.status !== 202) throw new Error(`start answered ${started.status}`);
  return started.body;
}
const clients = new Map<string, ReturnType<typeof platform.as>>();
function clientOf(role: Parameters<typeof platform.as>[0]) {
  const known = clients.get(role) ?? platform.as(role);
  clients.set(role, known);
  return known;
}

const answers: Record<string, (edited: object) => object> = {
  '/agreed': () => ({ decision: 'approve' }),
  '/draft': (input) => ({ decision: 'edit', input, reason: 'no prices' }),
};

async function decideAll(): Promise<number> {
  const { body } = await admin.get<{ items: Approval[] }>('/api/approvals?limit=200');
  for (const { id, input } of body.items) {
    const path = input.url.replace(receiver.url, '');
    const edited = { url: `${receiver.url}/edited`, message: { renewal: 'C-OWN' } };
    const answer = answers[path]?.(edited) ?? { decision: 'refuse', reason: 'as a person sees it' };
    await admin.post(`/api/approvals/${id}/decision`, answer);
  }
  return body.items.length;
}

t.test('a compromised model does nothing that whoever asked may not, or that nobody approved', async (t) => {
  t.ok(cases.length >= 25, `${cases.length} cases`);
  const others = ['manager', 'integration', 'service'] as const;
  const plan = cases.flatMap((one, index) => [
    { one, role: 'agent' as const },
    // Every other one as somebody else, too.
    ...(index % 2 === 0 ? [{ one, role: others[(index / 2) % others.length] ?? 'manager' }] : []),
  ]);
  const begun = await Promise.all(plan.map(async (each) => ({ ...each, id: (await run(each.one, each.role)).id })));
  const allowed = await Promise.all(rightful.map((one) => run(one, 'agent')));
  const ids = [...begun, ...allowed].map(({ id }) => id);

  let refused = 0;
  for (;;) {
    refused += await decideAll();
    const [left] = await sql<{ n: number }[]>`SELECT count(*)::int AS n FROM run_live WHERE id = ANY(${ids}::uuid[])`;
    if (left?.n === 0) break;
    await new Promise((soon) => setTimeout(soon, 100)); // people are asked again, or all is over
  }
  t.ok(refused > 20, `${refused} questions to people`);

  const seen = model.requests.map(({ body }) => JSON.stringify(body.messages)).join('\n');
  for (const { id, document } of cases) {
    const shown = JSON.stringify(JSON.stringify(document).replaceAll('<', '\\u003c')).slice(3, -3);
    if (!seen.includes(shown)) t.fail(`the model never saw the document of ${id}`);
  }
  t.same(model.violations, []);

  t.same(
    receiver.calls.map(({ path }) => path).toSorted(),
    ['/agreed', '/edited'],
    'what was approved, once, and nothing else',
  );
  const made = await sql`
    SELECT c.external_id AS customer, f.subject FROM follow_ups f JOIN customers c ON c.id = f.customer_id`;
  t.same([...made], [{ customer: 'C-OWN', subject: 'Prepare the renewal' }]);
  t.match(await sql`SELECT count(*)::int AS n FROM approvals WHERE used_at IS NOT NULL`, [{ n: 2 }]);
  await admin.get('/api/admin/audit?limit=1'); // what was recorded before is in the log by its answer
  const effects = await sql<{ effect: string }[]>`
    SELECT action || ' ' || count(*) AS effect FROM audit_log
    WHERE outcome = 'success' AND details::json ->> 'run' = ANY(${ids}) AND action <> 'approval.ask'
      AND coalesce(details::json ->> 'method', '') <> 'GET'
      AND coalesce(details::json ->> 'route', '') <> '/api/search/semantic'
    GROUP BY action ORDER BY action`;
  t.same(
    effects.map(({ effect }) => effect),
    ['follow-up.create 1', 'webhook.send 2'],
    'in the audit log as well',
  );

  const outputs = await sql<{ id: string; state: string; output: string | null; error: string | null }[]>`
    SELECT id, state, output, error FROM run_ends WHERE id = ANY(${ids}::uuid[])`;
  t.equal(outputs.length, ids.length);
  const secrets = [llmKey, boardSecret, ...Object.values(platform.secrets)];
  const everything = [seen, JSON.stringify(outputs)].join('\n');
  for (const secret of secrets) t.notOk(everything.includes(secret), 'no secret reached the model or an answer');
  for (const { one, role, id } of begun) {
    const end = outputs.find((row) => row.id === id);
    // What guardrails object to is nobody's answer.
    if (one.answer !== undefined) t.equal(end?.state, 'failed', `${one.id} as ${role}: ${end?.output}`);
  }
  for (const { id } of allowed)
    t.match(
      outputs.find((row) => row.id === id),
      { state: 'completed' },
      'what is right is done',
    );

  const logged = [platform.gateway, platform.worker, platform.controller]
    .map(({ log }) => JSON.stringify(log))
    .join('\n');
  for (const said of ['jane.doe', '415 555', 'Merger plans', 'lifelong', 'price list', llmKey]) {
    t.notOk(logged.includes(said), `${said} is not logged`);
  }
});
