import { get } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { createLogger, problemErrors } from '@flowstate/runtime';
import {
  arrivalsPerSecond,
  beat,
  insertScalingOverride,
  insertUser,
  releaseScalingOverrides,
  reserveModelCalls,
  setQueuePaused,
} from '@flowstate/store';
import { Registry } from '@prometheus-io/client';
import Fastify from 'fastify';
import { createCA, createCert } from 'mkcert';
import t from 'tap';
import { v7 as uuidv7 } from 'uuid';
import { readConfig } from '../src/config.ts';
import { createProviderRate } from '../src/scaling/provider-rate.ts';
import { createScalerTokenCheck } from '../src/scaling/scaler-token.ts';
import { measureScaling } from '../src/scaling/scaling-metrics.ts';
import { scalingRoute } from '../src/scaling/scaling-route.ts';
import { createScalingFixture } from './fixtures/scaling-fixture.ts';

t.test('what is decided follows what workers could do', async (t) => {
  const fixture = await createScalingFixture(t, {
    workflows: { max: 30, connectionBudget: 999 },
    documents: { concurrency: 2 },
  });
  const { sql, accept, addWorker, claim, decide, feeder, inFlight, limit, principal, publish } = fixture;
  const { answers } = await fixture.addController();
  const state = async () => {
    await decide();
    return answers.of('workflows');
  };
  t.match(await state(), {
    load: 0,
    desired: 0,
    reason: 'idle',
    liveWorkers: 0,
    concurrency: 16,
    serviceSeconds: null,
  });
  await accept(principal(), 5, { delayMs: 3_600_000 });
  t.match(await state(), { load: 0, desired: 0 }, 'what is due in an hour wakes nobody');
  await accept(principal(), 1, { delayMs: 25_000 });
  t.match(await state(), { waiting: 1, desired: 1, reason: 'load' }, 'what is due when a worker is up does');

  const worker = await addWorker(8);
  const capped = principal();
  await limit({ scope: 'principal', subject: capped, maxConcurrent: 10 });
  await accept(capped, 50, { capped: true });
  await accept(principal(), 100, { workflowId: await publish({ name: 'gone', version: '7' }) });
  t.match(
    await state(),
    { waiting: 11, desired: 2, concurrency: 8, liveWorkers: 1 },
    'capped and stranded wait anyway',
  );
  await feeder.feed();
  await claim(worker, await inFlight());
  t.match(await state(), { active: 10, waiting: 1, load: 11, desired: 2 });
  await setQueuePaused(sql, 'workflows', true);
  await accept(principal(), 40);
  t.match(await state(), { active: 10, waiting: 0, load: 10, paused: true, desired: 2, reason: 'paused' });
  await setQueuePaused(sql, 'workflows', false);
  await accept(principal(), 200);
  t.match(await state(), { waiting: 241, desired: 30, reason: 'max', byLoad: 40 });
  t.match(await answers.of('documents'), { desired: 0, concurrency: 8, policy: { concurrency: 2 } });

  const author = { email: 'ops@example.org', name: 'Ops', role: 'admin' as const, passwordHash: null };
  const authorId = (await insertUser(sql, author))?.id ?? '';
  const override = { queue: 'workflows' as const, min: null, max: 3, reason: 'a provider is ill', authorId };
  await insertScalingOverride(sql, { ...override, seconds: 600 });
  t.match(await state(), { desired: 3, reason: 'override', override: { author: 'ops@example.org', max: 3 } });
  await insertScalingOverride(sql, { ...override, max: 5, seconds: 600 });
  t.match(await state(), { desired: 5, override: { max: 5 } }, 'the later one counts alone');
  await sql`UPDATE scaling_overrides SET expires_at = now() WHERE released_at IS NULL`;
  t.match(await state(), { desired: 30, reason: 'max', override: null }, 'it ends by itself');
  await insertScalingOverride(sql, { ...override, seconds: 600 });
  t.same(await releaseScalingOverrides(sql, { releasedBy: authorId }), ['workflows']);
  t.match(await state(), { desired: 30, override: null });

  const registry = new Registry();
  measureScaling(registry, answers, createLogger('test', 'silent'));
  const metrics = await registry.metrics();
  t.match(metrics, 'flowstate_desired_workers{queue="workflows"} 30');
  t.match(metrics, 'flowstate_scaling_reason{queue="workflows",reason="max"} 1');
  t.match(metrics, 'flowstate_scaling_reason{queue="workflows",reason="load"} 0');
  await sql`UPDATE scaling_state SET computed_at = now() - interval '1 minute'`;
  t.notMatch(await registry.metrics(), '{', 'no samples of what nobody can know');
});

t.test("the wait goal needs what workers say of runs' time, and Postgres' connections bound it", async (t) => {
  const fixture = await createScalingFixture(t, { workflows: { connectionBudget: 45 } });
  const { sql, accept, addWorker, decide, principal } = fixture;
  const { answers } = await fixture.addController();
  const worker = await addWorker(10);
  await decide();
  const served = { workflows: { stays: 20, seconds: 400 } };
  await beat(sql, worker, [], { url: 'http://10.0.0.7:8000', served });
  await accept(principal(), 30);
  await decide();
  t.match(await answers.of('workflows'), {
    serviceSeconds: 20,
    byLoad: 4,
    byLatency: 9,
    desired: 5,
    reason: 'connections',
  });
  t.match(await answers.of('workflows'), { arrivalPerSecond: 1.5, connections: { budget: 45, perWorker: 9 } });
});

t.test("the provider's limits bound the workers, by what runs ask of models", async (t) => {
  const fixture = await createScalingFixture(
    t,
    { workflows: { connectionBudget: 999 } },
    { requests: 60, tokens: 90_000 },
  );
  const { sql, accept, addWorker, claim, decide, feeder, inFlight, principal } = fixture;
  const { answers } = await fixture.addController();
  const worker = await addWorker(10);
  await accept(principal(), 10);
  await feeder.feed();
  const runs = await inFlight();
  await claim(worker, runs);
  await decide();
  await accept(principal(), 300);
  const served = { workflows: { stays: 10, seconds: 300 } };
  await beat(sql, worker, [], { url: 'http://10.0.0.7:8000', served });
  await decide();
  t.match(
    await answers.of('workflows'),
    { desired: 100, reason: 'max', providerRunsPerSecond: null },
    'no model is asked',
  );

  const call = { step: 'ask', attempt: 1, model: 'm', inputTokens: 900, maxOutputTokens: 100 };
  const calls = runs.flatMap((runId) => [1, 2].map(() => ({ ...call, id: uuidv7(), runId })));
  await reserveModelCalls(sql, worker, calls, {});
  await decide();
  // 2 calls a run: half a run a second by requests, 0.75 by tokens; each holds a place for 30 seconds.
  t.match(await answers.of('workflows'), { desired: 2, reason: 'provider', providerRunsPerSecond: 0.5 });

  const rate = createProviderRate({ requests: undefined, tokens: 60_000 });
  const demand = new Map([['workflows', { calls: 10, tokens: 30_000 }] as const]);
  rate.observe(demand, () => 10);
  t.equal(rate.of('workflows'), 1_000 / 3_000);
  rate.observe(new Map([...demand, ['documents', { calls: 10, tokens: 30_000 }]] as const), () => 10);
  t.equal(rate.of('workflows'), 1_000 / 6_000, 'two queues share the limit');
  rate.observe(new Map(), () => 0);
  t.equal(rate.of('workflows'), 1_000 / 6_000, 'what was known holds while nothing runs');
  rate.observe(new Map(), () => 5);
  t.equal(rate.of('workflows'), null, 'runs that ask no model are not bound');
});

t.test("arrivals are counted by Postgres' clock, whatever gateways and its own jumps say", async (t) => {
  const { sql, accept, principal } = await createScalingFixture(t);
  const rate = async () => ((await arrivalsPerSecond(sql)).get('workflows') ?? 0) * 20;
  await accept(principal(), 6);
  const [behind] = await accept(principal(), 1, { id: uuidv7({ msecs: Date.now() - 4_000 }) });
  const [ahead] = await accept(principal(), 1, { id: uuidv7({ msecs: Date.now() + 3_600_000 }) });
  t.ok(behind !== undefined && ahead !== undefined);
  t.equal(await rate(), 8);
  await sql`UPDATE runs SET created_at = now() - interval '21 seconds' WHERE id = ${behind as string}`;
  t.equal(await rate(), 7);
  // As after the database's clock was set back.
  await sql`UPDATE runs SET created_at = now() + interval '10 minutes' WHERE id = ${ahead as string}`;
  t.equal(await rate(), 6);
});

t.test('metrics-api reads the same over https', async (t) => {
  const { decide, addController } = await createScalingFixture(t);
  const { answers } = await addController();
  const names = { organization: 'Test', countryCode: 'XX', state: 'None', locality: 'Nowhere', validity: 2 };
  const ca = await createCA(names);
  const app = Fastify({ https: await createCert({ domains: ['localhost'], validity: 2, ca }) });
  const token = 'a-token-of-the-autoscaler-3f9c';
  problemErrors(app);
  scalingRoute(app, { answers, checkToken: createScalerTokenCheck({ token, clientCertificates: false }) });
  await app.listen({ host: '127.0.0.1', port: 0 });
  t.teardown(() => app.close());
  const { port } = app.server.address() as AddressInfo;

  async function ask(queue: string, bearer?: string) {
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: unknown }>();
    const headers = bearer === undefined ? {} : { authorization: `Bearer ${bearer}` };
    get(`https://localhost:${port}/scaling/${queue}`, { ca: ca.cert, headers, agent: false }, (response) => {
      const status = response.statusCode ?? 0;
      text(response).then((body) => resolve({ status, body: JSON.parse(body) as unknown }), reject);
    }).on('error', reject);
    return promise;
  }
  t.match(await ask('workflows', token), { status: 503, body: { code: 'unavailable' } });
  await decide();
  t.same(await ask('workflows', token), { status: 200, body: await answers.of('workflows') });
  t.match(await ask('workflow', token), { status: 404, body: { title: 'Not Found', detail: /workflows, documents/ } });
  t.match(await ask('workflows/x', token), { status: 404, body: { code: 'not_found' } }, 'a path that is none');
  for (const wrong of [undefined, 'another']) t.match(await ask('workflows', wrong), { status: 401 });
  await t.rejects(fetch(`https://localhost:${port}/scaling/workflows`), 'of no authority that is known');
});

t.test('a policy that is none does not start', async (t) => {
  const env = { DATABASE_URL: 'postgres://x', REDIS_URL: 'redis://x' };
  const wrong: [Record<string, string>, RegExp][] = [
    [{ SCALING_POLICY: '{' }, /^SCALING_POLICY must be JSON/],
    [{ SCALING_POLICY: '{"workflow":{}}' }, /SCALING_POLICY.workflow is not known here/],
    [{ SCALING_POLICY: '{"workflows":{"maximum":3}}' }, /SCALING_POLICY.workflows.maximum is not known here/],
    [{ SCALING_POLICY: '{"workflows":{"max":"3"}}' }, /SCALING_POLICY.workflows.max must be integer/],
    [{ SCALING_POLICY: '{"workflows":{"utilisation":0}}' }, /SCALING_POLICY.workflows.utilisation/],
    [{ SCALING_POLICY: '{"workflows":{"min":5,"max":3}}' }, /SCALING_POLICY.workflows.min must not be above max, 3/],
    [{ SCALER_TLS_CERT: 'x' }, /SCALER_TLS_KEY is required with SCALER_TLS_CERT/],
    [{ SCALER_TLS_CA: 'x' }, /SCALER_TLS_CERT is required with SCALER_TLS_CA/],
    [{ CONTROLLER_TLS_KEY: 'x' }, /CONTROLLER_TLS_CERT is required/],
    [{ SCALER_TOKEN: 'changeme' }, /SCALER_TOKEN/],
  ];
  for (const [settings, message] of wrong) t.throws(() => readConfig({ ...env, ...settings }), { message });
  t.doesNotThrow(() => readConfig({ ...env, SCALING_POLICY: '{"workflows":{"max":40,"providerRunsPerSecond":5}}' }));
});
