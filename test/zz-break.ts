import { spawn } from 'node:child_process';
import { startPlatform } from './support/index.ts';
const teardowns: (() => unknown)[] = [];
const platform = await startPlatform({ teardown: (f: () => unknown) => void teardowns.push(f) } as never);
const env = { ...process.env, FLOWSTATE_URL: platform.gateway.url, FLOWSTATE_EMAIL: 'manager@flowstate.local', FLOWSTATE_PASSWORD: platform.secrets.password };
function cli(...args: string[]) {
  const c = spawn(process.execPath, ['/work/main/packages/cli/src/main.ts', ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = ''; c.stdout.on('data', (d) => (text += d)); c.stderr.on('data', (d) => (text += d));
  const ended = new Promise<string>((r) => c.once('close', (code, s) => r(`[${code ?? s}] ${text.trim()}`)));
  const sawProgress = new Promise<void>((r) => c.stderr.on('data', (d) => String(d).includes('…') && r()));
  return { c, ended, sawProgress };
}
console.log(await cli('import', 'customers', '/tmp/cli-accounts.csv').ended);
let i = cli('import', 'opportunities', '/tmp/cli-small.csv'); await i.sawProgress;
await platform.database.sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'flowstate-gateway' AND datname = current_database()`;
console.log('KILLED BACKENDS', await i.ended);
i = cli('import', 'opportunities', '/tmp/cli-small.csv'); await i.sawProgress; i.c.kill('SIGINT'); console.log('SIGINT', await i.ended);
i = cli('import', 'opportunities', '/tmp/cli-small.csv'); await i.sawProgress; const k = platform.gateway.kill('SIGTERM'); console.log('GATEWAY SIGTERM', await i.ended, await k);
await platform.gateway.restart();
i = cli('import', 'opportunities', '/tmp/cli-small.csv'); await i.sawProgress; const k2 = platform.gateway.kill('SIGKILL'); console.log('GATEWAY SIGKILL', await i.ended, await k2);
await platform.gateway.restart();
console.log(await cli('import', 'opportunities', '/tmp/cli-small.csv').ended);
console.log(platform.gateway.log.filter((l) => ['error', 'fatal'].includes(l.level)).slice(0, 5));
for (const f of teardowns.reverse()) await f();
process.exit(0);
