import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { startCollector } from '@flowstate/test';
import t from 'tap';
import { endpointFault, traceEndpoint } from '../src/trace-endpoint.ts';

const telemetry = new URL('../src/telemetry.ts', import.meta.url).href;
// A service in small: one piece of work that calls somebody, then an orderly end by SIGTERM.
const service = `
  import { createLogger, createLogSinks, createRegistry, onShutdown } from ${JSON.stringify(new URL('../src/index.ts', import.meta.url).href)};
  import { inRootSpan } from ${JSON.stringify(import.meta.resolve('@flowstate/tracing'))};
  const sinks = createLogSinks('small', { LOG_SINK_STDOUT: 'logs', LOG_SINK_BUFFER_BYTES: 1000 });
  const log = createLogger('small', 'info', sinks);
  onShutdown(log, [{ name: 'log sinks', stop: () => sinks.close() }]);
  await inRootSpan('work', { parent: null }, async () => {
    log.info('at work');
    await fetch(process.env.TARGET);
  });
  console.log((await createRegistry('small', {}).metrics()).split('\\n').filter((row) => row.startsWith('otel_')).join('\\n'));
  process.kill(process.pid, 'SIGTERM');
  await new Promise((resolve) => setTimeout(resolve, 60_000));
`;

async function run(env: Record<string, string>) {
  const child = spawn(process.execPath, ['--import', telemetry, '--input-type=module', '-e', service], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [out, end] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  const lines = out
    .split('\n')
    .flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Record<string, string>] : []));
  return { end, out, lines };
}

t.test('the endpoint may be the base or the full path', async (t) => {
  t.equal(traceEndpoint('http://c:4318'), 'http://c:4318/v1/traces');
  t.equal(traceEndpoint('http://c:4318/'), 'http://c:4318/v1/traces');
  t.equal(traceEndpoint('http://c:4318/v1/traces'), 'http://c:4318/v1/traces');
  t.equal(endpointFault('https://c/otlp'), null);
  t.match(endpointFault('c:4318'), /must begin with http/);
  t.match(endpointFault('nowhere'), /is no address/);
  t.match(endpointFault('http://user:s3cret@c'), /must not hold a login/);
});

for (const enabled of [true, false]) {
  t.test(
    `OTEL_ENABLED=${enabled}: spans ${enabled ? 'reach the collector, the last ones too' : 'are not made'}`,
    async (t) => {
      const collector = await startCollector(t);
      const { end, lines, out } = await run({
        OTEL_ENABLED: String(enabled),
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_SERVICE_NAME: 'small',
        TARGET: `${collector.url}/hello`,
      });
      t.same(end, [0, null]);
      t.same(
        collector.spans.map(({ name, service }) => `${service} ${name}`).toSorted(),
        enabled ? ['small GET', 'small work'] : [],
      );
      const working = lines.find(({ msg }) => msg === 'at work');
      t.equal(
        working?.traceId,
        enabled ? collector.spans[0]?.traceId : undefined,
        'its log line says which trace it belongs to',
      );
      t.match(
        out,
        enabled
          ? /otel_traces_enabled\{endpoint="http:[^"]*\/v1\/traces",fault=""\} 1/
          : /otel_traces_enabled\{[^}]*\} 0/,
      );
    },
  );
}

for (const [what, env, says] of [
  [
    'an address that is none',
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'collector' },
    /^no traces: OTEL_EXPORTER_OTLP_ENDPOINT is no address/,
  ],
  [
    'another protocol',
    { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'grpc://c:4317' },
    /^no traces: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT must begin/,
  ],
  ['a wrong number', { OTEL_BSP_MAX_QUEUE_SIZE: 'many' }, /^no traces: OTEL_BSP_MAX_QUEUE_SIZE must be/],
  ['a sampler that is none', { OTEL_TRACES_SAMPLER: 'some' }, /^telemetry: .*OTEL_TRACES_SAMPLER/],
] as const) {
  t.test(`${what}: one clear line, and the service works`, async (t) => {
    const target = await startCollector(t);
    const { end, lines } = await run({
      OTEL_ENABLED: 'true',
      OTEL_EXPORTER_OTLP_ENDPOINT: target.url,
      ...env,
      TARGET: `${target.url}/hello`,
    });
    t.same(end, [0, null]);
    t.match(lines, [{ level: 'warn', service: 'small', msg: says }, { msg: 'at work' }], JSON.stringify(lines));
  });
}
