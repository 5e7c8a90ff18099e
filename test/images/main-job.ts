import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { seedDemoUsers } from '@flowstate/security';
import { createClient, createTestDatabase, createTestRedis, startRecorder } from '@flowstate/test';
import type { Test } from 'tap';
import { getContainerRuntimeClient, Wait, type StartedTestContainer } from 'testcontainers';
import { freePort } from '../../deploy/local/src/ports.ts';
import { startReaper } from '../support/containers.ts';
import { recordOutput, recordSecrets } from '../support/output-record.ts';
import { docker } from './docker.ts';
import { SealedContainer } from './sealed-container.ts';
import { image, type Service } from './targets.ts';

type Started = { container: StartedTestContainer; url: string; lines: string[]; logged(text: string): Promise<void> };

/** Starts a service's image on a free port and waits for the health check that stands in it. */
async function start(t: Pick<Test, 'teardown'>, service: Service, env: Record<string, string>): Promise<Started> {
  const port = String(await freePort());
  const settings = { ...env, PORT: port, HOST: '127.0.0.1', LOG_LEVEL: 'info' };
  recordSecrets(settings);
  const lines: string[] = [];
  const waiting = new Map<string, () => void>();
  const follow = (stream: Readable) => {
    createInterface({ input: stream }).on('line', (line) => {
      recordOutput(service, line);
      lines.push(line);
      for (const [text, wake] of waiting) if (line.includes(text)) wake();
    });
  };
  const container = await new SealedContainer(image(service))
    .withEnvironment(settings)
    .withBindMounts([
      { source: fileURLToPath(new URL('../fixtures/workflows', import.meta.url)), target: '/workflows', mode: 'ro' },
    ])
    .withLogConsumer(follow)
    .withStartupTimeout(60_000)
    .withWaitStrategy(Wait.forHealthCheck())
    .start()
    .catch((error: Error) => {
      throw new Error(`${error.message}\n${lines.slice(-20).join('\n')}`);
    });
  t.teardown(() => docker(['rm', '--force', '--volumes', container.getId()], 20_000));
  return {
    container,
    lines,
    url: `http://127.0.0.1:${port}`,
    logged: (text) =>
      lines.some((line) => line.includes(text))
        ? Promise.resolve()
        : new Promise((resolve) => waiting.set(text, resolve)),
  };
}

/** Ends it as a cluster would; resolves to its exit code. */
async function terminate({ container }: Started): Promise<number> {
  await docker(['stop', '--time', '20', container.getId()], 30_000);
  const { stdout } = await docker(['inspect', '--format', '{{.State.ExitCode}}', container.getId()], 20_000);
  return Number(stdout);
}

/** Runs the image of the command line to its end. */
async function flowstate(databaseUrl: string, ...args: string[]) {
  const env = ['--env', `DATABASE_URL=${databaseUrl}`];
  return docker(
    ['run', '--rm', '--read-only', '--cap-drop=ALL', '--network=host', ...env, image('flowstate'), ...args],
    60_000,
  );
}

/** The main job done by containers of the images. */
export async function testMainJob(t: Test): Promise<void> {
  await startReaper(await getContainerRuntimeClient(), (line) => t.comment(line));

  t.test('the main job, from an empty database to a report, by images alone', async (t) => {
    const [{ url, sql }, redis] = await Promise.all([createTestDatabase(t), createTestRedis(t)]);
    await sql`DROP SCHEMA public CASCADE`;
    await sql`CREATE SCHEMA public`;
    const migrated = await Promise.all([flowstate(url, 'migrate'), flowstate(url, 'migrate')]);
    t.same(
      migrated.map(({ code }) => code),
      [0, 0],
      'migrations run twice, and at once',
    );
    t.match(migrated.map(({ stdout }) => stdout).toSorted(), [/^applied: /, /^nothing to do/]);
    t.match(await flowstate(url, 'migrate', '--check'), { code: 0, stdout: 'nothing is missing\n' });

    for (const tool of ['pg_dump', 'pg_restore']) {
      const started = await docker(['run', '--rm', '--entrypoint', tool, image('flowstate'), '--version'], 60_000);
      t.match(started, { code: 0, stdout: /PostgreSQL/ }, tool);
    }

    const secret = () => randomBytes(32).toString('base64url');
    const password = secret();
    await seedDemoUsers(sql, { password });
    const shared = { DATABASE_URL: url, REDIS_URL: redis.url, WORKER_API_KEY: secret() };
    const gatewayEnv = {
      ...shared,
      REDIS_CACHE_URL: redis.cacheUrl,
      JWT_SECRET: secret(),
      JWT_ISSUER: 'flowstate-test',
      JWT_AUDIENCE: 'flowstate-test',
    };
    const gateway = await start(t, 'gateway', gatewayEnv);
    const workerEnv = { ...shared, GATEWAY_URL: gateway.url, FLOWSTATE_WORKFLOWS: '/workflows' };
    const [worker, controller] = await Promise.all([
      start(t, 'worker', workerEnv),
      start(t, 'controller', { DATABASE_URL: url, REDIS_URL: redis.url, SCALER_PORT: String(await freePort()) }),
    ]);

    const manager = await createClient(gateway.url).login('manager@flowstate.local', password);
    const imported = await manager.post<{ inserted: number }>(
      '/api/import?entity=customers',
      'externalId,name\nACME,Acme Ltd\n',
      { 'content-type': 'text/csv', accept: 'application/json' },
    );
    t.match(imported, { status: 200, body: { inserted: 1 } });
    const input = { customerId: 'ACME' };
    const run = await manager.post('/api/workflows/customer-insights/runs', { input }, { prefer: 'wait=30' });
    t.match(run, { status: 200, body: { state: 'completed', output: { briefing: { markdown: /Acme Ltd/ } } } });

    const unhealthy = await worker.container.exec(['node', 'deploy/docker/healthy.mjs', '1', '/'], {
      env: { PORT: '1' },
    });
    t.not(unhealthy.exitCode, 0, 'a service that does not answer is not healthy');

    const recorder = await startRecorder(t);
    recorder.hold('step-2');
    const long = await manager.post<{ id: string }>('/api/workflows/recorded-steps/runs', {
      input: { recorder: recorder.url, steps: 3 },
    });
    t.equal(long.status, 202);
    await recorder.called('step-2');
    const ended = terminate(worker);
    await worker.logged('draining');
    recorder.release('step-2');
    t.equal(await ended, 0, 'a worker told to end in the middle of a run hands it back and exits 0');
    await start(t, 'worker', workerEnv);
    t.match((await Array.fromAsync(manager.events(long.body.id))).at(-1), { event: 'run.completed' });
    t.same(
      recorder.calls.map((call) => call.split('/')[1]),
      ['step-1', 'step-2', 'step-3'],
      'no step ran twice',
    );
    t.same(await Promise.all([terminate(gateway), terminate(controller)]), [0, 0]);

    const placeholder = { ...gatewayEnv, JWT_SECRET: 'change-me-change-me-change-me-change-me' };
    const env = Object.entries(placeholder).flatMap(([name, value]) => ['--env', `${name}=${value}`]);
    const refused = await docker(['run', '--rm', '--network=host', ...env, image('gateway')], 60_000);
    t.not(refused.code, 0);
    t.match(`${refused.stdout}${refused.stderr}`, /JWT_SECRET is a placeholder/);
  });
}
