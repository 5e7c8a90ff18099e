import { fileURLToPath } from 'node:url';
import { createClient, startCollector, startPlatform, startRecorder, type CollectedSpan } from '@flowstate/test';
import t from 'tap';

const workflows = fileURLToPath(new URL('../fixtures/workflows', import.meta.url));
const collector = await startCollector(t);
const platform = await startPlatform(t, {
  workflows,
  env: {
    OTEL_ENABLED: 'true',
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_BSP_SCHEDULE_DELAY: '100',
    OTEL_EXPORTER_OTLP_TIMEOUT: '2000',
  },
});
const manager = await platform.as('manager');
const recorder = await startRecorder(t);

type Run = { id: string; state: string; traceId: string };
const wait = { prefer: 'wait=30' };
const ofTrace = (traceId: string) => collector.spans.filter((span) => span.traceId === traceId);

/** From a span up to the beginning of its trace. */
function wayUp(span: CollectedSpan): string[] {
  const parent = collector.spans.find(({ spanId }) => spanId === span.parentSpanId);
  return [`${span.service.replace('flowstate-', '')}: ${span.name}`, ...(parent === undefined ? [] : wayUp(parent))];
}

function named(spans: readonly CollectedSpan[], name: string): CollectedSpan {
  const found = spans.find((span) => span.name === name);
  if (found === undefined) throw new Error(`no span ${name} in:\n${spans.map((span) => span.name).join('\n')}`);
  return found;
}

async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(url)).text();
  const rows = text.split('\n').filter((row) => row.startsWith(name));
  return rows.reduce((sum, row) => sum + Number(row.split(' ').at(-1)), 0);
}

const traceId = 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa';
const callersSpan = 'bbbbbbbbbbbbbbbb';

t.test('one trace goes from the request through queue, worker, agent and backend to SQL, across a crash', async (t) => {
  const embedding = Array.from({ length: 384 }, (_, i) => (i === 0 ? 1 : 0));
  const document = { collection: 'notes', text: 'A refund takes five days.', embedding, model: 'all-MiniLM-L6-v2' };
  t.match(await manager.post('/api/documents', document), { status: 200 });
  recorder.hold('call');
  const started = await manager.post<Run>(
    '/api/workflows/traced/runs',
    { input: { recorder: recorder.url, query: 'how long does a refund take' } },
    { traceparent: `00-${traceId}-${callersSpan}-01` },
  );
  t.match(started, { status: 202, body: { traceId } });
  await recorder.called('call');
  // What the first worker did until now is sent; what it has under way goes with it.
  await collector.until(() => ofTrace(traceId).some(({ name }) => name === 'step finder'));
  // The checkpoint travels while the next step runs.
  for await (const { event, data } of manager.events(started.body.id)) {
    if (event === 'step.completed' && (data['data'] as { name?: string }).name === 'finder') break;
  }
  await platform.worker.kill('SIGKILL');
  recorder.release('call');
  await platform.worker.restart();
  await recorder.called('call', 2);
  await collector.until(() => ofTrace(traceId).some(({ name }) => name === 'process traced'));
  const spans = ofTrace(traceId);

  const request = named(spans, 'POST /api/workflows/:name/runs');
  t.match(request, { parentSpanId: callersSpan, kind: 2, service: 'flowstate-gateway' });
  t.same(wayUp(named(spans, 'INSERT run_live INSERT runs')).at(-1), 'gateway: POST /api/workflows/:name/runs');
  t.match(named(spans, 'send workflows'), { kind: 4, parentSpanId: request.spanId });
  t.match(named(spans, 'GET flowstate:session'), { attributes: { 'db.system.name': 'redis' } });

  const resumed = named(spans, 'process traced');
  t.match(resumed, {
    parentSpanId: request.spanId,
    kind: 5,
    attributes: { 'flowstate.run.id': started.body.id, 'flowstate.run.resumed': true, 'flowstate.run.crashes': 1 },
  });
  const finder = named(spans, 'step finder');
  t.same(resumed.links, [{ traceId, spanId: finder.spanId }], 'linked to the step whose result it goes on from');
  t.match(named(spans, 'step call'), { parentSpanId: resumed.spanId, attributes: { 'flowstate.step.attempt': 1 } });
  t.ok(spans.some(({ name, parentSpanId }) => name === 'UPDATE run_live' && parentSpanId === resumed.spanId));
  t.ok(spans.some(({ name }) => name === 'DELETE run_live INSERT run_ends'));

  // The first worker's own span went with it: the way up ends there.
  t.same(wayUp(named(spans, 'SELECT match_documents')), [
    'gateway: SELECT match_documents',
    'gateway: POST /api/search/semantic',
    'worker: POST',
    'worker: backend search.semantic',
    'worker: invoke_agent finder',
    'worker: step finder',
  ]);
  t.match(named(spans, 'SELECT match_documents').attributes['db.query.text'], /FROM match_documents\(\$1/);
  t.match(wayUp(named(spans, 'embeddings all-MiniLM-L6-v2')), [
    'gateway: embeddings all-MiniLM-L6-v2',
    'gateway: POST /api/search/semantic',
  ]);
  t.match(named(spans, 'embeddings all-MiniLM-L6-v2').attributes, {
    'gen_ai.operation.name': 'embeddings',
    'gen_ai.provider.name': 'local',
    'gen_ai.request.model': 'all-MiniLM-L6-v2',
  });
  t.ok(wayUp(named(spans, 'GET vector-search')).includes('gateway: POST /api/search/semantic'));
  t.notMatch(
    JSON.stringify(spans.map(({ attributes }) => attributes)),
    /refund|five days/,
    'of nobody what they asked',
  );
});

t.test('a request whose caller did not sample it is not sent, and has its trace id all the same', async (t) => {
  const unsampled = 'c'.repeat(32);
  const { body } = await manager.post<Run>(
    '/api/workflows/traced/runs',
    { input: { recorder: recorder.url, query: 'refund' } },
    { traceparent: `00-${unsampled}-${callersSpan}-00`, ...wait },
  );
  t.match(body, { state: 'completed', traceId: unsampled });
  const after = await manager.post<Run>(
    '/api/workflows/traced/runs',
    { input: { recorder: recorder.url, query: 'refund' } },
    { traceparent: `00-${'d'.repeat(32)}-${callersSpan}-01`, ...wait },
  );
  t.match(after.body, { state: 'completed' });
  await collector.until(() => ofTrace('d'.repeat(32)).some(({ name }) => name === 'process traced'));
  t.same(ofTrace(unsampled), []);
});

t.test(
  'a collector that hangs, goes and comes back holds nobody up, costs bounded memory and is found again',
  async (t) => {
    const gateway = await platform.addGateway({ OTEL_BSP_MAX_QUEUE_SIZE: '20' });
    const client = createClient(gateway.url, manager.token);
    const metrics = `${gateway.url}/api/metrics`;
    const sampled = (n: number) => ({ traceparent: `00-${n.toString(16).padStart(32, 'e')}-${callersSpan}-01` });
    await collector.become('hanging');
    const before = collector.requests();
    const asked = Array.from({ length: 400 }, (_, n) => client.get('/api/workflows', sampled(n)));
    t.ok(
      (await Promise.all(asked)).every(({ status }) => status === 200),
      'answered while the collector answers nothing',
    );
    await collector.until(() => collector.requests() > before);
    const waiting = await metric(metrics, 'otel_spans_waiting ');
    t.ok(waiting <= 20, `${waiting} spans wait`);
    t.equal(await metric(metrics, 'otel_spans_waiting_limit'), 20);
    t.ok((await metric(metrics, 'otel_spans_dropped_total{reason="queue_full"}')) > 0, 'what does not fit is counted');
    /** Asks for something that is traced until the gateway says so of its exports. */
    async function exporting(failing: 0 | 1): Promise<void> {
      do await client.get('/api/workflows', sampled(998));
      while ((await metric(metrics, 'otel_export_failing')) !== failing);
    }
    await exporting(1);
    await gateway.logged(({ msg }) => msg.startsWith('the collector takes no traces'));

    await collector.become('gone');
    t.match(await client.get('/api/workflows', sampled(999)), { status: 200 });
    await collector.become('well');
    const again = 'f'.repeat(32);
    // Until its back-off is over, what comes may still be given up.
    await exporting(0);
    await gateway.logged(({ msg }) => msg === 'the collector takes traces again');
    await client.get('/api/workflows', { traceparent: `00-${again}-${callersSpan}-01` });
    await collector.until(() => ofTrace(again).length > 0);
  },
);
