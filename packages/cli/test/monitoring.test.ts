import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startMonitored } from './fixtures/monitored-platform.ts';

const { collector, folder, platform, admin, urls, flowstate, metricsOf } = await startMonitored(t);

/** Whatever `answer` makes of what the gateway says of itself, at an address of its own. */
async function inFront(t: Test, server: Server, answer: (metrics: string) => string): Promise<string> {
  server.on('request', (_request, response: ServerResponse) => {
    metricsOf().then(
      (metrics) => response.end(answer(metrics)),
      () => response.destroy(),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const scheme = server.listeners('secureConnection').length > 0 ? 'https' : 'http';
  return `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}/api/metrics`;
}

t.test('metrics are missing: the target, its token, its certificate, the route', async (t) => {
  const fine = await flowstate(['check', 'metrics']);
  t.match(fine, { code: 0, out: /^ok: 3 targets are up, and each of \d{2,3} routes is measured/ }, fine.out + fine.err);

  const without = await flowstate(['check', 'metrics'], { METRICS_TOKEN: '' });
  t.match(without, { code: 1, out: /NOT OK: target [^\n]*it needs METRICS_TOKEN[^]*→ [^\n]*bearer token/ });

  const away = await flowstate(['check', 'metrics'], { METRICS_URLS: urls('http://127.0.0.1:1/api/metrics') });
  t.match(away, {
    code: 1,
    out: /NOT OK: target http:\/\/127\.0\.0\.1:1[^\n]*down: no answer[^]*→ [^\n]*start the service/,
  });

  const bypassed = await inFront(t, createServer(), (metrics) =>
    metrics
      .replace(/^.*route="\/api\/workflows\/:name".*$/gm, '')
      .replaceAll('http_requests_active', 'somehow_otherwise'),
  );
  const unmeasured = await flowstate(['check', 'metrics'], { METRICS_URLS: urls(bypassed) });
  t.match(unmeasured, { code: 1, out: /^NOT OK: instrumentation of gateway [^\n]*missing: http_requests_active\n/ });
  t.match(unmeasured.out, /instrumentation of every route +NOT OK +not counted: GET \/api\/workflows\/:name\n/);
  t.match(unmeasured.out, /→ instrumentation of every route: [^\n]*services\/gateway\/src\/metrics\.ts/);
});

t.test(
  'metrics are missing: a certificate that ends soon',
  { skip: spawnSync('openssl', ['version']).status !== 0 && 'no openssl here' },
  async (t) => {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const args = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '3',
      '-subj',
      '/CN=127.0.0.1',
    ];
    spawnSync('openssl', [...args, '-keyout', key, '-out', cert]);
    const server = createTlsServer({ key: await readFile(key), cert: await readFile(cert) });
    const url = await inFront(t, server, (metrics) => metrics);
    const { code, out } = await flowstate(['check', 'metrics'], { METRICS_URLS: urls(url) });
    t.equal(code, 1);
    t.match(out, /NOT OK: target https:[^\n]*self-signed certificate[^]*→ [^\n]*renew the certificate/);
    t.match(out, /TLS of 127\.0\.0\.1:\d+ +NOT OK +valid for [23] days, NOT trusted here/);
  },
);

t.test('traces are missing: flags, endpoint, collector, queue', async (t) => {
  const fine = await flowstate(['check', 'traces']);
  t.match(fine, { code: 0, out: /^ok: 3 processes send traces to http:[^\n]*\/v1\/traces\n/ }, fine.out);

  const off = await platform.addGateway({ OTEL_ENABLED: 'false' });
  const unset = await flowstate(['check', 'traces'], { METRICS_URLS: urls(`${off.url}/api/metrics`) });
  t.match(unset, {
    code: 1,
    out: /NOT OK: flags of gateway[^\n]*OTEL_ENABLED is not true[^]*→ flags [^\n]*OTEL_ENABLED=true/,
  });

  const wrong = await platform.addGateway({ OTEL_EXPORTER_OTLP_ENDPOINT: 'localhost:4318' });
  t.match(await admin.get('/api/health'), { status: 200 });
  await wrong.logged(
    ({ level, msg }) =>
      level === 'warn' && msg.startsWith('no traces: OTEL_EXPORTER_OTLP_ENDPOINT must begin with http'),
  );
  const bad = await flowstate(['check', 'traces'], { METRICS_URLS: urls(`${wrong.url}/api/metrics`) });
  t.match(bad, { code: 1, out: /NOT OK: flags of gateway[^\n]*OTEL_EXPORTER_OTLP_ENDPOINT must begin with http/ });

  await collector.become('hanging');
  const sampled = { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` };
  /** Asks for something that is traced until the gateway says so of its exports. */
  async function exporting(state: 'failing' | 'well'): Promise<void> {
    const wanted = `otel_export_failing ${state === 'failing' ? 1 : 0}\n`;
    do await admin.get('/api/workflows', sampled);
    while (!(await metricsOf()).includes(wanted));
  }
  await exporting('failing');
  const hangs = await flowstate(['check', 'traces']);
  t.match(hangs, { code: 1, out: /NOT OK: collector http:[^\n]*answers nothing/ });
  t.match(hangs.out, /export queue of gateway[^\n]*NOT OK[^\n]*export_failed [1-9]\d*; the last export failed/);
  await collector.become('gone');
  const gone = await flowstate(['check', 'traces']);
  t.match(gone, { code: 1, out: /NOT OK: collector http:[^\n]*no answer[^]*→ [^\n]*start the collector/ });
  await collector.become('well');
  await exporting('well');
  t.equal((await flowstate(['check', 'traces'])).code, 0, 'without any restart');
});

t.test('latency increases: the cache, match_documents with its plan, and what to turn', async (t) => {
  const { sql } = platform.database;
  const model = 'all-MiniLM-L6-v2';
  const embedding = Array.from({ length: 384 }, (_, i) => (i === 0 ? 1 : 0));
  t.match(await admin.post('/api/documents', { collection: 'notes', text: 'x', embedding, model }), { status: 200 });
  // By an embedding: a model would be loaded first, which a busy machine may take too long for. Another threshold is
  // another question to the cache.
  const search = (n: number) => admin.post('/api/search/semantic', { embedding, model, threshold: -1 + n / 1e6 });
  t.match(await search(0), { status: 200 });
  async function during<T>(ask: (n: number) => Promise<unknown>, work: () => Promise<T>): Promise<T> {
    const done = new AbortController();
    let n = 0;
    const asking = Promise.all(
      Array.from({ length: 8 }, async () => {
        while (!done.signal.aborted) await ask((n += 1));
      }),
    );
    try {
      return await work();
    } finally {
      done.abort();
      await asking;
    }
  }
  const look = (ms: string) => flowstate(['check', 'latency', '--during', '3s', '--at-most', ms]);
  const fine = await during(
    () => search(0),
    () => look('60000'),
  );
  t.match(fine, { code: 0, out: /^ok: [^]*cache hit rate [^\n]* ok +(9\d|100) %/ }, fine.out);

  // As slow as a bad plan: the function of that name waits before it searches.
  const all = 'vector, float8, int, jsonb, text[], uuid, text, text, boolean';
  await sql.unsafe(`ALTER FUNCTION match_documents(${all}) RENAME TO match_documents_fast`);
  await sql.unsafe(`
    CREATE FUNCTION match_documents(${all})
    RETURNS TABLE (id uuid, external_id text, collection text, title text, text text, metadata jsonb, similarity float8)
    LANGUAGE plpgsql AS $$ BEGIN
      PERFORM pg_sleep(0.3);
      RETURN QUERY SELECT * FROM match_documents_fast($1, $2, $3, $4, $5, $6, $7, $8, $9);
    END $$`);
  const slow = await during(search, () => look('250'));
  t.equal(slow.code, 1);
  t.match(slow.out, /^NOT OK: latency: \/api\/search\/semantic p95 \d+ ms/);
  t.match(
    slow.out,
    /match_documents +NOT OK +p95 \d+ ms of \d+ calls; plan: [^\n]*documents[^\n]*indexes: [^\n]*documents_embedding_384/,
  );
  t.match(slow.out, /→ match_documents: `flowstate limits set default maxSearchLimit=5 minSearchThreshold=0\.4`/);
  t.match(slow.out, /→ cache hit rate[^\n]*SEARCH_CACHE_TTL_SECONDS=3600/);
  await sql.unsafe('DROP FUNCTION match_documents; ALTER FUNCTION match_documents_fast RENAME TO match_documents');
});
