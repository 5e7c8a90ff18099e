import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { Advice, run } from '../host.mjs';
import { findPostgres, findRedis } from '../src/stores/installed.ts';
import { startStores } from '../src/stores.ts';

const path = { PATH: process.env['PATH'] };

/** Why a machine where stores are to be had cannot be made to look as if they were not. */
async function obstacle(): Promise<string | undefined> {
  if ((await run('apt-get', ['--version'])).code !== 0) return 'no apt on this machine';
  const installed = (await findPostgres(path)).length > 0 && (await findRedis(path));
  return installed ? 'PostgreSQL and Redis are installed on this machine' : undefined;
}

t.test('where nothing is to be had, one line names every choice and what was tried', async (t) => {
  const reason = await obstacle();
  if (reason) {
    t.plan(0, reason);
    return;
  }
  const dir = mkdtempSync(join(tmpdir(), 'sources-test-'));
  chmodSync(dir, 0o755);
  t.teardown(() => rmSync(dir, { recursive: true }));
  // A mirror that takes the connection and hangs up.
  const mirror = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  await once(mirror, 'listening');
  t.teardown(() => mirror.close());
  const address = `127.0.0.1:${(mirror.address() as AddressInfo).port}`;
  writeFileSync(join(dir, 'sources.list'), `deb http://${address}/debian trixie main\n`);
  writeFileSync(
    join(dir, 'apt.conf'),
    `Dir::Etc::sourcelist "${join(dir, 'sources.list')}";\nDir::Etc::sourceparts "/dev/null";\n`,
  );
  const env = {
    ...path,
    APT_CONFIG: join(dir, 'apt.conf'),
    no_proxy: '127.0.0.1',
    DOCKER_HOST: `unix://${join(dir, 'no-engine.sock')}`,
  };

  const starting = startStores({
    dataDir: join(dir, 'data'),
    cacheDir: join(dir, 'cache'),
    log: () => undefined,
    env,
  });
  const error = await starting.then(
    () => undefined,
    (problem: unknown) => problem as Error,
  );
  t.ok(error instanceof Advice);
  t.match(error?.message, /missing\. Choose one: set DATABASE_URL.*install PostgreSQL.*start a Docker engine/);
  t.match(error?.message, `http://${address}/debian/: Failed to fetch`);
  t.match(error?.message, /Docker: no engine answers \(/);
  t.notMatch(error?.message, '\n');
  t.strictSame(readdirSync(join(dir, 'cache/stores')), [], 'nothing half-fetched is left');
  t.strictSame(readdirSync(join(dir, 'data')), ['stores.json'], 'nothing half-made is left');
});
