import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { settleLocalEnv } from '../src/local-env.ts';
import { whereEverythingIs } from '../src/where.ts';

const dir = t.testdir();
mkdirSync(join(dir, '.flowstate'));
const urls = { DATABASE_URL: 'postgres://u:p@h/d', REDIS_URL: 'redis://h', REDIS_CACHE_URL: 'redis://h' };
const settings = settleLocalEnv(
  join(dir, '.flowstate/local.env'),
  { ...urls, GATEWAY_URL: 'http://gateway', WORKER_URL: 'http://worker', CONTROLLER_URL: 'http://controller' },
  {},
);
const ports = { gateway: 1, worker: 2, controller: 3, scaler: 4 };

/** Types the printed request into a shell whose curl answers a login, and otherwise shows what it was asked. */
function typed(customerId: string | undefined): string[] {
  const text = whereEverythingIs({ host: '127.0.0.1', ports, settings, once: true, customerId });
  const commands = text.split('in this folder:\n')[1] ?? '';
  const curl = `curl() { case "$2" in */login) echo '{"accessToken":"abc","x":1}';; *) printf '%s\\n' "$@";; esac; }`;
  const { stdout } = spawnSync('sh', ['-c', `${curl}\n${commands}`], { cwd: dir, encoding: 'utf8' });
  return stdout.trim().split('\n');
}

t.test('the request to copy asks for a customer there is, whatever its name', (t) => {
  const customerId = `O'Neil & "Sons" $HOME \\`;
  const words = typed(customerId);
  t.match(words, ['-s', 'http://gateway/api/workflows/customer-insights/runs', '-H', 'authorization: Bearer abc']);
  t.same(JSON.parse(words.at(-1) ?? ''), { input: { customerId } });
  t.end();
});

t.test('without customers it asks for the workflows', (t) => {
  t.same(typed(undefined), ['-s', 'http://gateway/api/workflows', '-H', 'authorization: Bearer abc']);
  t.end();
});

t.test('no secret is shown', (t) => {
  const text = whereEverythingIs({ host: '127.0.0.1', ports, settings, once: false, customerId: 'C-1' });
  for (const secret of [settings.DEMO_PASSWORD, settings.JWT_SECRET, settings.WORKER_API_KEY]) t.notMatch(text, secret);
  t.end();
});
