import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { traceEndpoint } from '../src/trace-endpoint.ts';

const telemetry = new URL('../src/telemetry.ts', import.meta.url).href;
// A service in small: one request, then an orderly end by SIGTERM.
const service = `
  import { onShutdown } from ${JSON.stringify(new URL('../src/index.ts', import.meta.url).href)};
  import { pino } from ${JSON.stringify(import.meta.resolve('pino'))};
  onShutdown(pino({ level: 'silent' }), []);
  await fetch(process.env.TARGET);
  process.kill(process.pid, 'SIGTERM');
  await new Promise((resolve) => setTimeout(resolve, 60_000));
`;

t.test('the endpoint may be the base or the full path', async (t) => {
  t.equal(traceEndpoint('http://c:4318'), 'http://c:4318/v1/traces');
  t.equal(traceEndpoint('http://c:4318/'), 'http://c:4318/v1/traces');
  t.equal(traceEndpoint('http://c:4318/v1/traces'), 'http://c:4318/v1/traces');
});

for (const enabled of [true, false]) {
  t.test(
    `OTEL_ENABLED=${enabled}: spans ${enabled ? 'reach the collector, the last ones too' : 'are not made'}`,
    async (t) => {
      const received: string[] = [];
      const collector = createServer((request, response) => {
        if (request.url === '/v1/traces') received.push(request.headers['content-type'] ?? '');
        request.resume().on('end', () => response.end());
      });
      collector.listen(0, '127.0.0.1');
      await once(collector, 'listening');
      t.teardown(() => collector.close());
      const url = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
      const child = spawn(process.execPath, ['--import', telemetry, '--input-type=module', '-e', service], {
        env: {
          PATH: process.env.PATH,
          OTEL_ENABLED: String(enabled),
          OTEL_EXPORTER_OTLP_ENDPOINT: url,
          TARGET: `${url}/hello`,
        },
        stdio: ['ignore', 'inherit', 'inherit'],
      });
      t.same(await once(child, 'exit'), [0, null]);
      t.same(received, enabled ? ['application/x-protobuf'] : []);
    },
  );
}
