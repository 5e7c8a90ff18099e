import { credentials } from '@grpc/grpc-js';
import { setQueuePaused } from '@flowstate/store';
import { startCable } from '@flowstate/test';
import { createCA, createCert } from 'mkcert';
import t from 'tap';
import { readTrigger } from '../src/scaling/scaler-trigger.ts';
import { createScalingFixture } from './fixtures/scaling-fixture.ts';

const token = 'a-token-of-the-autoscaler-3f9c';
const workflows = { queue: 'workflows' };
const methods = ['IsActive', 'GetMetricSpec', 'GetMetrics'] as const;

t.test('KEDA is answered over its own interface, the same by every controller', async (t) => {
  const { accept, principal, keepDeciding, addController } = await createScalingFixture(t);
  await accept(principal(), 40);
  const stopDeciding = await keepDeciding();
  const one = await addController({ token });
  const two = await addController({ token });
  for (const { keda } of [one, two]) {
    t.same(await keda.call('IsActive', workflows, { token }), { code: 'OK', answer: { result: true } });
    t.same(await keda.call('IsActive', { queue: 'documents' }, { token }), { code: 'OK', answer: { result: false } });
    t.same((await keda.call('GetMetricSpec', workflows, { token })).answer, {
      metricSpecs: [{ metricName: 'desired', targetSize: 1, targetSizeFloat: 1 }],
    });
    t.same((await keda.call('GetMetrics', workflows, { token })).answer, {
      metricValues: [{ metricName: 'desired', metricValue: 4, metricValueFloat: 4 }],
    });
    const load = { ...workflows, metric: 'load' };
    t.same((await keda.call('GetMetricSpec', load, { token })).answer, {
      metricSpecs: [{ metricName: 'load', targetSize: 13, targetSizeFloat: 12.8 }],
    });
    t.same((await keda.call('GetMetrics', load, { token, metricName: 'load' })).answer, {
      metricValues: [{ metricName: 'load', metricValue: 40, metricValueFloat: 40 }],
    });
  }
  await stopDeciding();
  t.same(await one.answers.of('workflows'), await two.answers.of('workflows'));
});

t.test('who asks wrongly is told so, and never a zero', async (t) => {
  const { keepDeciding, addController } = await createScalingFixture(t);
  await keepDeciding();
  const { keda } = await addController({ token });
  for (const method of methods) {
    const code = async (metadata: Record<string, string>, options = {}) =>
      (await keda.call(method, metadata, { token, ...options })).code;
    t.equal(await code({ queue: 'workflow' }), 'NOT_FOUND', method);
    t.equal(await code({ queue: '__proto__' }), 'NOT_FOUND', method);
    for (const metadata of [{}, { queue: ' ' }, { ...workflows, metric: 'cpu' }, { ...workflows, metrik: 'load' }]) {
      t.equal(await code(metadata), 'INVALID_ARGUMENT', method);
    }
    for (const wrong of [undefined, '', `${token}x`]) {
      t.equal(await code(workflows, { token: wrong }), 'UNAUTHENTICATED', `${method} with ${wrong}`);
    }
    t.equal(await code({ queue: 'workflow' }, { token: undefined }), 'UNAUTHENTICATED', 'before anything else is said');
    // What KEDA makes of `tokenFromEnv` in a trigger: all else of it comes along.
    const trigger = { ...workflows, tokenFromEnv: token, scalerAddress: 'controller:8091', enableTLS: 'true' };
    t.equal(await code(trigger, { token: undefined }), 'OK', method);
    t.equal(await code({ ...trigger, tokenFromEnv: 'another' }, { token: undefined }), 'UNAUTHENTICATED', method);
  }
  for (const [key, value] of Object.entries({ metrik: 'load', target: '-5', metric: '' })) {
    const errors = [{ field: `scalerMetadata.${key}` }];
    t.throws(() => readTrigger({ ...workflows, [key]: value }), { code: 'invalid_input', errors }, key);
  }
  t.equal((await keda.call('GetMetrics', workflows, { token, metricName: 's0-desired' })).code, 'INVALID_ARGUMENT');
  for (const [metadata, options, code] of [
    [{ queue: 'workflow' }, { token }, 'NOT_FOUND'],
    [{}, { token }, 'INVALID_ARGUMENT'],
    [workflows, {}, 'UNAUTHENTICATED'],
  ] as const) {
    t.equal(await keda.stream(metadata, options).ended, code);
  }
  const open = await addController();
  t.equal(
    (await open.keda.call('IsActive', workflows)).code,
    'UNAUTHENTICATED',
    'without a token to compare with, too',
  );
});

t.test('an answer nobody can know is an error', async (t) => {
  const { url, redis, sql, decide, keepDeciding, addController } = await createScalingFixture(t);
  const [postgresCable, redisCable] = await Promise.all([startCable(t, url), startCable(t, redis.url)]);
  const { keda } = await addController({ token, databaseUrl: postgresCable.url, redisUrl: redisCable.url });
  const code = async () => (await keda.call('GetMetrics', workflows, { token })).code;
  const until = async (wanted: string) => {
    while ((await code()) !== wanted);
  };
  t.equal(await code(), 'UNAVAILABLE', 'nothing was decided yet');
  await decide();
  t.equal(await code(), 'OK');

  for (const moment of ["now() - interval '6 seconds'", "now() + interval '1 hour'"]) {
    await sql.unsafe(`UPDATE scaling_state SET computed_at = ${moment}`);
    t.equal(await code(), 'UNAVAILABLE', `decided ${moment}`);
    t.equal((await keda.call('IsActive', workflows, { token })).code, 'UNAVAILABLE');
  }
  // From here on it is the stores that decide.
  await sql`UPDATE scaling_state SET computed_at = now() + interval '4 seconds'`;
  t.equal(await code(), 'OK');
  await redisCable.cut();
  await until('UNAVAILABLE');
  t.equal((await keda.call('IsActive', workflows, { token })).code, 'UNAVAILABLE', 'Redis is away');
  t.equal((await keda.call('GetMetricSpec', workflows, { token })).code, 'OK', 'what to aim at is known all the same');
  await redisCable.mend();
  await keepDeciding();
  await until('OK');
  await postgresCable.cut();
  t.equal(await code(), 'UNAVAILABLE', 'Postgres is away');
  await postgresCable.mend();
  await until('OK');
});

t.test('certificates: the server shows one, and asks for one where it knows an authority', async (t) => {
  const { addController } = await createScalingFixture(t);
  const names = { organization: 'Test', countryCode: 'XX', state: 'None', locality: 'Nowhere', validity: 2 };
  const [ca, other] = await Promise.all([createCA(names), createCA(names)]);
  const [server, client, stranger] = await Promise.all([
    createCert({ domains: ['localhost'], validity: 2, ca }),
    createCert({ domains: ['keda'], validity: 2, ca }),
    createCert({ domains: ['keda'], validity: 2, ca: other }),
  ]);
  const trusted = Buffer.from(ca.cert);
  const as = ({ key, cert }: { key: string; cert: string }) =>
    credentials.createSsl(trusted, Buffer.from(key), Buffer.from(cert));
  const anybody = credentials.createSsl(trusted);
  const tls = { cert: server.cert, key: server.key, ca: undefined };
  const code = async (options: Parameters<typeof addController>[0], bearer?: string) => {
    const { keda } = await addController(options);
    // Answered whatever is away: what else there is to say is how the two met.
    return (await keda.call('GetMetricSpec', workflows, bearer === undefined ? {} : { token: bearer })).code;
  };
  t.equal(await code({ tls, token, credentials: anybody }, token), 'OK');
  t.equal(await code({ tls, token, credentials: anybody }), 'UNAUTHENTICATED');
  t.equal(await code({ tls, token, credentials: credentials.createSsl() }, token), 'UNAVAILABLE', 'of no authority');
  t.equal(await code({ tls, token, credentials: credentials.createInsecure() }, token), 'UNAVAILABLE');

  const mutual = { ...tls, ca: ca.cert };
  t.equal(await code({ tls: mutual, credentials: as(client) }), 'OK', 'a certificate is proof enough');
  t.equal(await code({ tls: mutual, token, credentials: as(client) }), 'UNAUTHENTICATED', 'unless a token is set too');
  t.equal(await code({ tls: mutual, token, credentials: as(client) }, token), 'OK');
  t.equal(await code({ tls: mutual, credentials: as(stranger) }), 'UNAVAILABLE');
  t.equal(await code({ tls: mutual, credentials: anybody }), 'UNAVAILABLE');
});

t.test('a first job is told at once, by one look for all who listen', async (t) => {
  const { sql, accept, principal, keepDeciding, feeder, addController } = await createScalingFixture(t);
  await keepDeciding();
  const { keda, looks, stop } = await addController({ token });
  t.equal(looks.count, 0, 'nobody listens, nobody looks');
  const streams = Array.from({ length: 1_000 }, () => keda.stream(workflows, { token }));
  const idle = keda.stream({ queue: 'documents' }, { token });
  // One of them has been told before all are open: nothing is there yet.
  await keda.call('IsActive', workflows, { token });
  t.same(
    streams.flatMap(({ results }) => results),
    [],
  );

  const told = Promise.all(streams.map((stream) => stream.next()));
  const before = looks.count;
  const begun = performance.now();
  await accept(principal(), 1);
  await feeder.feed();
  t.ok((await told).every((result) => result));
  t.comment(`1,000 streams told ${Math.round(performance.now() - begun)} ms after the run was accepted`);
  t.ok(looks.count - before < 100, `${looks.count - before} looks for 1,000 streams`);
  t.same(idle.results, [], 'the other queue has none');

  const late = keda.stream(workflows, { token });
  t.equal(await late.next(), true, 'who comes while there is work hears it at once');
  await setQueuePaused(sql, 'documents', true);
  await accept(principal(), 1, { queue: 'documents', direct: true });
  for (const stream of streams.slice(1)) stream.cancel();
  const ended = [...streams.slice(0, 1), late, idle].map((stream) => stream.ended);
  await stop();
  t.same(await Promise.all(ended), ['OK', 'OK', 'OK'], 'streams end in order');
  t.same(idle.results, [], 'a paused queue wakes nobody');
});

t.test('nobody is there, and what is delayed comes due: its worker is woken in time', async (t) => {
  const { accept, principal, keepDeciding, addController } = await createScalingFixture(t);
  await keepDeciding();
  const { keda } = await addController({ token });
  const [waking, sleeping] = [keda.stream(workflows, { token }), keda.stream({ queue: 'documents' }, { token })];
  await accept(principal(), 1, { delayMs: 3_600_000, queue: 'documents' });
  await accept(principal(), 1, { delayMs: 25_000 });
  t.equal(await waking.next(), true);
  t.same(sleeping.results, []);
});
