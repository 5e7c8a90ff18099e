import { once } from 'node:events';
import { mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { Registry } from '@prometheus-io/client';
import t, { type Test } from 'tap';
import {
  createAuditLog,
  createLogger,
  createLogSinks,
  loadConfig,
  logSinkSettings,
  measureLogSinks,
} from '../src/index.ts';
import Type from 'typebox';
import { startRsyslog } from './fixtures/rsyslog.ts';

/** Sinks as the environment names them; stdout stays the test's own. */
function open(t: Test, env: Record<string, string>) {
  const settings = loadConfig(Type.Object(logSinkSettings), { LOG_SINK_STDOUT: 'off', ...env });
  const sinks = createLogSinks('gateway', settings);
  t.teardown(() => sinks.close());
  const news: string[] = [];
  sinks.onNews(({ sink, state }) => void news.push(`${sink} ${state}`));
  return { sinks, news, log: createLogger('gateway', 'info', sinks) };
}

/** An HTTP endpoint that can die and come back under the same address. */
async function endpoint(t: Test, answer = () => 200) {
  const seen = {
    lines: [] as { n?: number; msg: string; audit?: unknown }[],
    bodies: [] as string[],
    tokens: new Set<string | undefined>(),
  };
  let server: Server | undefined;
  let port = 0;
  async function rise(): Promise<void> {
    server = createServer((request, response) => void take(request, response)).listen(port, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  }
  async function take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = (await request.setEncoding('utf8').toArray()).join('');
    const status = answer();
    response.writeHead(status).end();
    if (status !== 200) return;
    seen.bodies.push(body);
    seen.tokens.add(request.headers.authorization);
    for (const line of body.trim().split('\n')) seen.lines.push(JSON.parse(line) as { msg: string });
  }
  async function die(): Promise<void> {
    const dying = server;
    server = undefined;
    if (dying === undefined) return;
    dying.closeAllConnections();
    dying.close();
    await once(dying, 'close');
  }
  await rise();
  t.teardown(die);
  return { seen, rise, die, url: `http://127.0.0.1:${port}/logs` };
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await wait(10);
}

t.test('an HTTP sink that dies and comes back misses nothing', async (t) => {
  const { seen, rise, die, url } = await endpoint(t);
  const { sinks, news, log } = open(t, { LOG_SINK_HTTP: url, LOG_SINK_HTTP_TOKEN: 'sink-secret' });
  const count = () => seen.lines.filter(({ n }) => n !== undefined).length;
  log.info({ n: 0 }, 'first');
  await until(() => count() === 1);
  await die();
  for (let n = 1; n <= 2_000; n++) log.info({ n }, 'while away');
  await until(() => news.includes('http trouble'));
  await rise();
  await until(() => count() === 2_001);
  t.same(
    seen.lines.flatMap(({ n }) => n ?? []),
    Array.from({ length: 2_001 }, (_, n) => n),
    'in order, each once',
  );
  await until(() => news.includes('http recovered'));
  t.same(sinks.lost(), { http: 0 });
  t.same([...seen.tokens], ['Bearer sink-secret']);
  t.notMatch(seen.bodies.join(''), /sink-secret/);
});

t.test('an unreachable sink keeps what fits, counts the rest, and holds nobody up', async (t) => {
  const { seen, rise, die, url } = await endpoint(t);
  await die();
  const { sinks, news, log } = open(t, { LOG_SINK_HTTP: url, LOG_SINK_BUFFER_BYTES: '100000' });
  const total = 50_000;
  for (let n = 0; n < total; n++) log.info({ n, filler: 'x'.repeat(100) }, 'line');
  await until(() => news.includes('http trouble') && (sinks.lost()['http'] ?? 0) > total - 1_000);
  const registry = new Registry();
  measureLogSinks(registry, sinks);
  await rise();
  await until(() => news.includes('http recovered'));
  const numbered = () => seen.lines.filter(({ n }) => n !== undefined).length;
  await until(() => numbered() + (sinks.lost()['http'] ?? 0) >= total);
  t.ok(numbered() > 100, `${numbered()} were kept`);
  t.match(await registry.metrics(), new RegExp(`log_sink_lost_total\\{sink="http"\\} ${sinks.lost()['http']}`));
  log.info({ n: total }, 'after');
  await until(() => seen.lines.some(({ n }) => n === total));
});

t.test('lines the far end refuses are lost alone; busy is tried again', async (t) => {
  const answers = [400, 503, 429];
  const { seen, url } = await endpoint(t, () => answers.shift() ?? 200);
  const { sinks, log } = open(t, { LOG_SINK_HTTP: url, LOG_SINK_HTTP_FORMAT: 'bulk' });
  log.info('refused');
  await until(() => sinks.lost()['http'] === 1);
  log.info('taken');
  await until(() => seen.bodies.length > 0);
  t.match(
    seen.bodies.join(''),
    /^\{"create":\{\}\}\n\{"level":"warn".*\n\{"create":\{\}\}\n|^\{"create":\{\}\}\n\{"level":"info"/,
  );
  await until(() => seen.bodies.join('').includes('"taken"'));
});

t.test('a file is appended to and may be rotated; the end writes what is left', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'flowstate-sinks-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = join(folder, 'flowstate.log');
  const { sinks, log } = open(t, { LOG_SINK_FILE: file });
  const audit = createAuditLog('gateway', sinks);
  const text = (path = file) => readFile(path, 'utf8').catch(() => '');
  log.info('before');
  await until(async () => (await text()).includes('before'));
  await rename(file, `${file}.1`);
  audit?.({ action: 'auth.login', actor: 'ann', token: 'fsr_secret' });
  log.info({ password: 'hunter2' }, 'last');
  await sinks.close();
  log.info('too late');
  const lines = (await text())
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { msg: string; audit?: object });
  t.match(lines, [
    { msg: 'audit', service: 'gateway', audit: { action: 'auth.login', token: '[redacted]' } },
    { msg: 'last' },
  ]);
  t.equal(lines.length, 2);
  t.notMatch(await text(), /hunter2|fsr_secret/);
  t.match(await text(`${file}.1`), /before/);
});

t.test('rsyslog understands every line, by TCP and UDP', async (t) => {
  const rsyslog = await startRsyslog(t);
  if (typeof rsyslog === 'string') {
    t.pass(rsyslog, { skip: rsyslog });
    return;
  }
  const { sinks, news, log } = open(t, { LOG_SINK_SYSLOG: `tcp://127.0.0.1:${rsyslog.port}` });
  const audit = createAuditLog('gateway', sinks);
  log.warn({ text: 'line\nbreak ünïcode <13>1 forged' }, 'over tcp');
  audit?.({ action: 'auth.failed', outcome: 'denied' });
  for (let n = 0; n < 1_000; n++) log.info({ n }, 'many');
  // Of its own the logger says when nobody listened yet, and when somebody did.
  const ours = (all: string[]) => all.filter((line) => !line.includes('log sink'));
  const lines = ours(await rsyslog.received((all) => ours(all).length >= 1_002));
  t.match(
    lines[0],
    /^132 gateway - \d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00) \{"level":"warn".*line\\nbreak ünïcode <13>1 forged.*"over tcp"\}$/,
  );
  t.match(lines[1], /^110 gateway audit .*"action":"auth.failed"/);
  t.match(lines.at(-1), /"n":999/);
  t.same(sinks.lost(), { syslog: 0 });
  t.ok(news.every((each) => each !== 'syslog lost'));

  const udp = open(t, { LOG_SINK_SYSLOG: `udp://127.0.0.1:${rsyslog.port}` });
  udp.log.error('over udp');
  const isUdp = (line: string) => line.includes('"over udp"');
  t.match((await rsyslog.received((all) => all.some(isUdp))).find(isUdp), /^131 gateway - /);
});

t.test('what is no sink is refused by name', async (t) => {
  for (const env of [
    { LOG_SINK_SYSLOG: 'localhost' },
    { LOG_SINK_SYSLOG: 'tcp://localhost' },
    { LOG_SINK_HTTP: 'ftp://x' },
    { LOG_SINK_HTTP: 'https://user:secret@x/' },
    { LOG_SINK_STDOUT: 'yes' },
    { LOG_SINK_BUFFER_BYTES: '1' },
  ]) {
    t.throws(() => loadConfig(Type.Object(logSinkSettings), env), {
      message: new RegExp(Object.keys(env)[0] as string),
    });
  }
});
