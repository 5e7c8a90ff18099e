import { randomBytes } from 'node:crypto';
import { startPlatform } from '@flowstate/test';
import t from 'tap';
import { flowstate as run } from './fixtures/run-cli.ts';

const platform = await startPlatform(t);
const api = {
  FLOWSTATE_URL: platform.gateway.url,
  FLOWSTATE_EMAIL: 'admin@flowstate.local',
  FLOWSTATE_PASSWORD: platform.secrets.password,
};
const direct = { DATABASE_URL: platform.database.url };

const flowstate = (args: string[], env: Record<string, string> = api) => run(args, { env });
/** What the command says once it says what is waited for. */
async function saying(args: string[], wanted: RegExp) {
  for (const deadline = Date.now() + 20_000; ;) {
    const said = await flowstate(args, direct);
    if (wanted.test(said.out) || Date.now() > deadline) return said;
  }
}

t.test('signing keys: status, rehearsal, and a kill that a gateway cannot stop', async (t) => {
  await saying(['keys', 'status', '--direct'], /1 live gateway\n/);
  const status = await flowstate(['keys', 'status']);
  t.match(status, { code: 0, out: /1 live gateway\n.*VERDICT\n[\w-]{12} +signing +1 +1 +\d+ .*not safe to retire\n/s });
  t.match(status.out, /1 of 1 gateways sign with it: \S+:\d+/);
  t.match(await flowstate(['keys', 'rehearse']), { code: 0, out: /pass +one key signs.*PASSED/s });
  const { items } = JSON.parse((await flowstate(['keys', 'status', '--json'])).out) as { items: { kid: string }[] };
  const kid = items[0]?.kid as string;

  t.match(await flowstate(['keys', 'kill', kid]), { code: 2, err: /--reason/ });
  t.match(await flowstate(['keys', 'kill', kid, '--reason', 'leaked']), {
    code: 1,
    err: /409.*Rotate first, or force/s,
  });
  t.match(await flowstate(['keys', 'kill', 'nobodysaweit', '--reason', 'leaked']), { code: 1, err: /404/ });
  const killed = await flowstate(['keys', 'kill', kid, '--reason', 'leaked', '--force', '--direct'], direct);
  t.match(killed, { code: 0, out: /killed 2.*restarted with another JWT_SECRET: \S+:\d+/s });
  const answers = async () => (await fetch(new URL('/api/ready', platform.gateway.url))).status;
  for (const deadline = Date.now() + 10_000; (await answers()) !== 503 && Date.now() < deadline;);
  t.match(await flowstate(['keys', 'status']), { code: 1, err: /503.*was killed/s });
  t.match(await saying(['keys', 'status', '--direct'], /no logins there/), { code: 0, out: /killed/ });
  const entries = await platform.database.sql`
    SELECT actor, outcome FROM audit_log WHERE action = 'signing-key.kill' AND subject = ${kid}`;
  t.match(entries, [{ actor: null, outcome: 'success' }]);

  await platform.gateway.kill('SIGTERM');
  await platform.gateway.restart({ JWT_SECRET: randomBytes(32).toString('base64url') });
  t.match(await flowstate(['keys', 'status']), { code: 0, out: new RegExp(`${kid} +killed`) });
});

t.test('secrets: the schedule, and one that is over age', async (t) => {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline;) {
    if (/JWT_SECRET .*fresh/.test((await flowstate(['secrets', 'status'])).out)) break;
  }
  const status = await flowstate(['secrets', 'status']);
  t.match(status, { code: 0, out: /WORKER_API_KEY +\d{4}-\S+ +0 d +180 d +\d{4}-\S+ +fresh/ });
  t.match(status.out, /METRICS_TOKEN +never seen +365 d +unset/);
  t.match(await flowstate(['secrets', 'set', 'WORKER_API_KEY', '--max-age-days', '30']), { code: 0, out: / 30 d / });
  t.match(await flowstate(['secrets', 'set', 'WORKER_API_KEY', '--max-age-days', 'x']), { code: 1, err: /maxAgeDays/ });
  await platform.database.sql`
    UPDATE secret_values SET first_seen_at = now() - interval '31 days' WHERE name = 'WORKER_API_KEY'`;
  t.match(await flowstate(['secrets', 'status']), { code: 1, out: /WORKER_API_KEY .* 31 d +30 d .*over-age/ });
  t.match(await flowstate(['keys', 'rehearse']), { code: 1, out: /FAIL +no secret is over age +WORKER_API_KEY/ });
  const metrics = await (await fetch(new URL('/metrics', platform.controller.url))).text();
  t.match(metrics, /flowstate_secret_age_seconds\{.*secret="WORKER_API_KEY".*\} 26784/);
  t.match(metrics, /flowstate_secret_max_age_seconds\{.*secret="WORKER_API_KEY".*\} 2592000/);
  t.match(metrics, /flowstate_rotation_rehearsal_passed(\{.*\})? 0/);
});
