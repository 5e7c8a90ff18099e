import { startPlatform, type Client } from '@flowstate/test';
import t from 'tap';

const platform = await startPlatform(t);
const admin = await platform.as('admin');
const manager = await platform.as('manager');

type Run = {
  id: string;
  state: string;
  output: { claims: Claim[]; briefing: { markdown: string } };
  traceId: string | null;
};
type Claim = { id: string; value: unknown; evidence: { kind: string; ids?: string[]; query?: string; count?: number } };
type Event = { event?: string; id?: string; data: { type: string; data: { name?: string } } };

const csv = { 'content-type': 'text/csv', accept: 'application/json' };
const ndjson = { 'content-type': 'application/x-ndjson', accept: 'application/json' };

async function load(client: Client, entity: string, body: string, headers: Record<string, string>) {
  const answer = await client.post<{ inserted: number; rejected: number; runs: string[] }>(
    `/api/import?entity=${entity}`,
    body,
    headers,
  );
  t.equal(answer.status, 200, `${entity} imported`);
  t.equal(answer.body.rejected, 0);
  return answer.body;
}

t.before(async () => {
  const at = (daysAgo: number) => new Date(Date.now() - daysAgo * 86_400_000).toISOString();
  await load(admin, 'customers', 'externalId,name,segment\nACME,Acme Ltd,enterprise\n', csv);
  await load(
    admin,
    'interactions',
    'externalId,customer,thread,channel,direction,at,author,subject,text\n' +
      `I1,ACME,T1,ticket,inbound,${at(3)},Ann,Export fails,"How do I export a dashboard to PDF? It is really annoying."\n` +
      `I2,ACME,T2,email,inbound,${at(10)},Bob,Thanks,The new release is great and support was wonderful.\n` +
      `I3,ACME,T2,email,outbound,${at(9)},Us,Re: Thanks,Glad to hear it!\n`,
    csv,
  );
  await load(
    admin,
    'opportunities',
    'externalId,customer,product,owner,stage,amount,openedAt,closedAt,history\n' +
      `O1,ACME,Core,Eve,won,1000,${at(90)},${at(60)},prospecting@${at(90)};won@${at(60)}\n` +
      `O2,ACME,Core,Eve,lost,500,${at(80)},${at(40)},prospecting@${at(80)};lost@${at(40)}\n` +
      `O3,ACME,Core,Eve,prospecting,2000,${at(20)},,prospecting@${at(20)}\n`,
    csv,
  );
  await load(
    admin,
    'integrations',
    `${JSON.stringify({
      externalId: 'N1',
      customer: 'ACME',
      name: 'CRM sync',
      kind: 'crm',
      status: 'degraded',
      latencyMs: 900,
      lastSyncAt: at(2),
      syncIntervalMinutes: 60,
      errorCount24h: 7,
      incidents: [],
    })}\n`,
    ndjson,
  );
  const { runs } = await load(
    admin,
    'documents',
    `${JSON.stringify({ externalId: 'D1', title: 'Exporting dashboards', collection: 'knowledge', text: 'To export a dashboard as PDF open the share menu and choose Export. Large dashboards take a minute.' })}\n` +
      `${JSON.stringify({ externalId: 'D2', title: 'Invoices', collection: 'knowledge', text: 'Invoices are issued on the first day of each month and sent to the billing contact.' })}\n`,
    ndjson,
  );
  for (const id of runs) t.match((await Array.fromAsync(admin.events(id))).at(-1), { event: 'run.completed' });
});

t.test('a customer insight, from request to cited report', async (t) => {
  const turn = async (action: 'pause' | 'resume') =>
    t.equal((await admin.post(`/api/admin/queues/workflows/${action}`)).status, 200);
  await turn('pause');
  const started = await manager.post<Run>('/api/workflows/customer-insights/runs', { input: { customerId: 'ACME' } });
  t.equal(started.status, 202);
  t.equal(started.headers.get('location'), `/api/runs/${started.body.id}`);

  const events: Event[] = [];
  for await (const event of manager.events(started.body.id)) {
    events.push(event as unknown as Event);
    // What is told live is told to whoever listens by then.
    if (events.length === 1) await turn('resume');
  }
  t.equal(events[0]?.event, 'run.accepted');
  t.equal(events.at(-1)?.event, 'run.completed');
  const finished = events.filter((e) => e.event === 'step.completed').map((e) => e.data.data.name);
  for (const agent of ['interaction', 'sales-intelligence', 'integration', 'knowledge', 'reporting'])
    t.ok(finished.includes(agent), agent);
  t.equal(finished.at(-1), 'reporting');
  t.ok(
    events.some((e) => e.event === 'step.started'),
    'progress is live',
  );

  const { body: run } = await manager.get<Run>(`/api/runs/${started.body.id}`);
  t.match(run.output.briefing.markdown, 'Acme Ltd');
  t.match(JSON.stringify(run.output), 'Exporting dashboards', 'the document that answers the open question is cited');

  await t.test('every claim names rows that exist, and only this customer sees its own', async (t) => {
    t.ok(run.output.claims.length > 5);
    const lists: Record<string, string> = {
      interaction: 'interactions',
      opportunity: 'opportunities',
      integration: 'integrations',
    };
    const known = new Map<string, Set<string>>();
    for (const [kind, list] of Object.entries(lists)) {
      const { body } = await manager.get<{ items: { id: string }[] }>(`/api/customers/ACME/${list}`);
      known.set(kind, new Set(body.items.map((item) => item.id)));
    }
    for (const { id, evidence } of run.output.claims) {
      if (evidence.query !== undefined) {
        const { body } = await manager.get<{ items: unknown[] }>(evidence.query);
        t.equal(body.items.length, evidence.count, `${id}: ${evidence.query}`);
      }
      const rows = known.get(evidence.kind);
      if (rows)
        t.ok(
          (evidence.ids ?? []).every((row) => rows.has(row)),
          `${id}: rows of ${evidence.kind}`,
        );
    }
  });

  const steps = await manager.get<{ items: { name: string; state: string }[] }>(`/api/runs/${run.id}/steps`);
  t.ok(steps.body.items.every((step) => step.state === 'completed'));
});

t.test('the same events again, from wherever a reader left off', async (t) => {
  const { body: run } = await manager.post<Run>(
    '/api/workflows/customer-insights/runs',
    { input: { customerId: 'ACME' } },
    { prefer: 'wait=30' },
  );
  t.equal(run.state, 'completed');
  const all = await Array.fromAsync(manager.events(run.id));
  const tail = await Array.fromAsync(manager.events(run.id, '3'));
  t.same(
    tail,
    all.filter((event) => Number(event.id) > 3),
  );
  for (const id of ['999', 'abc']) {
    t.match(await manager.get(`/api/runs/${run.id}/events`, { 'last-event-id': id }), {
      status: 400,
      body: { errors: [{ field: 'headers.last-event-id', message: 'must be the id of an event of this run' }] },
    });
  }
});

t.test('the run is a job on the dashboard, for those who may look', async (t) => {
  const { body: run } = await manager.post<Run>(
    '/api/workflows/customer-insights/runs',
    { input: { customerId: 'ACME' } },
    { prefer: 'wait=30' },
  );
  const url = '/admin/queues/api/queues?activeQueue=workflows&status=completed';
  // It ends in the ledger first, then in the queue.
  while (!JSON.stringify((await admin.get(url)).body).includes(run.id));
  t.equal((await fetch(new URL(url, admin.url))).status, 401);
  t.equal((await (await platform.as('agent')).get(url)).status, 403);
});

t.test("the runbook's probe runs the workflow on exactly this worker", async (t) => {
  const probe = (token: string | undefined, body: unknown) =>
    fetch(`${platform.worker.url}/agents/workflows/customer-insights`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(token !== undefined && { authorization: `Bearer ${token}` }) },
      body: JSON.stringify(body),
    });
  const answer = await probe(admin.token, { input: { customerId: 'ACME' } });
  t.equal(answer.status, 200);
  const run = (await answer.json()) as Run;
  t.equal(run.state, 'completed');
  t.match(
    (await admin.get(`/api/runs/${run.id}`)).body,
    { state: 'completed' },
    'it stands in the ledger like any other',
  );
  t.equal((await probe(manager.token, { input: { customerId: 'ACME' } })).status, 403);
  t.equal((await probe(undefined, {})).status, 401);
  const refused = await probe(admin.token, { input: {} });
  t.match(await refused.json(), { status: 400, title: 'Bad Request', errors: [{ field: 'input.customerId' }] });
  for (const url of [platform.worker.url, platform.controller.url]) {
    t.match(await (await fetch(`${url}/nowhere`)).json(), { status: 404, title: 'Not Found', code: 'not_found' });
  }
});

t.test('searching twice is answered by the cache', async (t) => {
  const body = { query: 'How can I get a dashboard as PDF?', collection: 'knowledge' };
  const first = await manager.post<{ items: { externalId: string }[]; cache: string }>('/api/search/semantic', body);
  t.match(first.body, { items: [{ externalId: 'D1' }] });
  t.match((await manager.post('/api/search/semantic', body)).body, { cache: 'hit' });
});

t.test('metrics of all three services name what the runbooks watch', async (t) => {
  const [gateway, worker, controller] = await Promise.all(
    [`${platform.gateway.url}/api/metrics`, `${platform.worker.url}/metrics`, `${platform.controller.url}/metrics`].map(
      async (url) => (await fetch(url)).text(),
    ),
  );
  for (const name of [
    'http_request_duration_seconds_bucket',
    'http_requests_active',
    'vector_cache_requests_total{result="hit"}',
    'match_documents_duration_seconds',
  ])
    t.match(gateway, name);
  for (const name of [
    'worker_agent_workflows_total{workflow="customer-insights",status="completed"}',
    'worker_backend_requests_total',
    'worker_backend_request_duration_seconds',
    'worker_step_duration_seconds',
  ])
    t.match(worker, name);
  t.match(controller, /flowstate_queue_jobs\{queue="workflows",state="completed"\} [1-9]/);
});

t.test('nothing was worth a warning, but the credentials above that are none', async (t) => {
  for (const { log } of [platform.gateway, platform.worker, platform.controller]) {
    const warnings = log.filter(({ level }) => !['debug', 'info', 'audit'].includes(level));
    t.same(
      warnings.filter(({ msg }) => msg !== 'Authentication failed'),
      [],
    );
  }
});
