import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import t from 'tap';
import { run } from '../host.mjs';
import { createProcessRecord } from '../src/processes.ts';
import { dockerServices, projectName, removeDockerStores } from '../src/stores/docker-project.ts';
import { startDockerStores, type DockerStores } from '../src/stores/docker.ts';
import { findSources } from '../src/stores/find-sources.ts';
import { storeImages } from '../src/stores/images.ts';
import type { StoreHome } from '../src/stores/store-home.ts';

const both = { postgres: true, redis: true };

/** Why stores in Docker cannot be tried here. Images are not pulled: where tests run in containers they are there. */
async function obstacle(): Promise<string | undefined> {
  if ((await run('docker', ['info'])).code !== 0) return 'no Docker engine answers';
  if ((await run('docker', ['compose', 'version'])).code !== 0) return 'docker has no compose';
  for (const image of Object.values(storeImages))
    if ((await run('docker', ['image', 'inspect', image])).code !== 0) return `${image} is not on this machine`;
  return undefined;
}

function homeIn(dir: string): StoreHome {
  const ports = new Map<string, number>();
  const record = createProcessRecord(join(dir, 'processes.json'));
  const { signal } = new AbortController();
  return { dir, password: 'geheim', ports, user: undefined, record, log: () => {}, signal, ephemeral: false };
}

async function counted({ databaseUrl }: DockerStores): Promise<number> {
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => undefined });
  await sql`CREATE TABLE IF NOT EXISTS starts (at timestamptz DEFAULT now())`;
  await sql`INSERT INTO starts DEFAULT VALUES`;
  const [row] = await sql<{ n: number }[]>`SELECT count(*)::int AS n FROM starts`;
  await sql.end();
  return row?.n ?? 0;
}

/** Containers and volumes of this clone, by name. */
async function ofProject(dir: string): Promise<string[]> {
  const filter = ['--filter', `label=com.docker.compose.project=${projectName(dir)}`];
  const containers = await run('docker', ['ps', '--all', '--format', '{{.Names}}', ...filter]);
  const volumes = await run('docker', ['volume', 'ls', '--format', '{{.Name}}', ...filter]);
  return `${containers.stdout}${volumes.stdout}`
    .split('\n')
    .filter(Boolean)
    .map((name) => name.replace(projectName(dir), ''))
    .toSorted();
}

async function mountsOf(dir: string, service: string): Promise<string> {
  const container = `${projectName(dir)}-${service}-1`;
  return (await run('docker', ['inspect', '--format', '{{range .Mounts}}{{.Type}} {{end}}', container])).stdout.trim();
}

t.test('stores in Docker keep their data from start to start, until it is deleted', async (t) => {
  const reason = await obstacle();
  if (reason) {
    t.plan(0, reason);
    return;
  }
  const dir = mkdtempSync(join(tmpdir(), 'docker-test-'));
  const home = homeIn(dir);
  t.teardown(async () => {
    await removeDockerStores(dir, { volumes: true });
    rmSync(dir, { recursive: true });
  });

  const first = await startDockerStores(both, home, process.env);
  t.equal(await counted(first), 1);
  for (const [url, policy] of [
    [first.redisUrl, 'noeviction'],
    [first.redisCacheUrl, 'allkeys-lru'],
  ] as const) {
    const redis = new Redis(url);
    t.strictSame(await redis.config('GET', 'maxmemory-policy'), ['maxmemory-policy', policy]);
    redis.disconnect();
  }
  t.strictSame(await ofProject(dir), ['-postgres-1', '-redis-1', '-redis-cache-1', '_postgres', '_redis']);
  t.notMatch(await mountsOf(dir, 'redis-cache'), 'volume', 'the cache leaves no volume behind');
  await first.stop();
  t.strictSame(await ofProject(dir), ['_postgres', '_redis']);

  // What has become available since is no reason to begin with an empty database.
  const { docker: second } = await findSources(both, home, join(dir, 'cache'), process.env);
  t.ok(second);
  if (second) t.equal(await counted(second), 2);
  const elsewhere = { PATH: process.env['PATH'], DOCKER_HOST: `unix://${dir}/no-engine.sock` };
  await t.rejects(findSources(both, home, join(dir, 'cache'), elsewhere), {
    message: /^This clone's database is in a Docker volume, and no engine answers/,
  });
  // As after a kill -9: the containers are still there.
  t.ok(await removeDockerStores(dir, { volumes: false }));
  t.strictSame(await ofProject(dir), ['_postgres', '_redis']);
  t.ok(await removeDockerStores(dir, { volumes: true }));
  t.strictSame(await ofProject(dir), []);

  const third = await startDockerStores(both, home, process.env);
  t.equal(await counted(third), 1);
  await third.stop();
});

t.test('a first start that fails leaves neither containers nor volumes', async (t) => {
  const reason = await obstacle();
  if (reason) {
    t.plan(0, reason);
    return;
  }
  const dir = mkdtempSync(join(tmpdir(), 'docker-test-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const stop = new AbortController();
  // Compose is told to stop the moment the stores are announced.
  const home = { ...homeIn(dir), signal: stop.signal, log: () => stop.abort() };
  await t.rejects(startDockerStores(both, home, process.env), { name: 'AbortError' });
  t.strictSame(await ofProject(dir), []);
  t.strictSame(dockerServices(dir), new Set());
});
