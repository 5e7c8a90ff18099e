import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import {
  createClient,
  startPlatform,
  startRecorder,
  startRequestLoad,
  type RequestLoad,
  type ServiceProcess,
} from '@flowstate/test';
import t from 'tap';

type Key = { kid: string; state: string; safeToSign: boolean; safeToRetire: boolean; why: string[] };
type Report = { gateways: number; items: Key[] };
type Tokens = { accessToken: string; refreshToken: string };

const workflows = fileURLToPath(new URL('../fixtures/workflows', import.meta.url));
const platform = await startPlatform(t, { workflows });
const recorder = await startRecorder(t);
const gateways = [platform.gateway, await platform.addGateway()];
const urls = gateways.map(({ url }) => url);
const secret = () => randomBytes(32).toString('base64url');

async function logIn(url: string): Promise<Tokens> {
  const body = { email: 'manager@flowstate.local', password: platform.secrets.password };
  const answer = await createClient(url).post<Tokens>('/api/auth/login', body);
  if (answer.status !== 200) throw new Error(`login answered ${answer.status}`);
  return answer.body;
}

/** Status as an administrator sees it, once it says what is waited for. */
async function statusWhen(url: string, holds: (report: Report) => boolean): Promise<Report> {
  const admin = await createClient(url).login('admin@flowstate.local', platform.secrets.password);
  for (const deadline = Date.now() + 30_000; ;) {
    const { body } = await admin.get<Report>('/api/admin/signing-keys');
    if (holds(body)) return body;
    if (Date.now() > deadline) throw new Error(`it never said so: ${JSON.stringify(body)}`);
  }
}

let held = 0;
/** One after the other, each with a request under way that it must still answer. */
async function restartEach(load: RequestLoad, settings: Record<string, string>): Promise<number[]> {
  const finished: number[] = [];
  for (const gateway of gateways) {
    finished.push(await drain(gateway));
    await gateway.restart(settings);
    // Tokens of the one that has moved on go to the one that has not.
    await load.refresh();
  }
  return finished;
}

async function drain(gateway: ServiceProcess): Promise<number> {
  const manager = createClient(gateway.url, (await logIn(gateway.url)).accessToken);
  const step = `step-${++held}`;
  recorder.hold(step);
  const input = { recorder: recorder.url, steps: held };
  const answer = manager.post('/api/workflows/recorded-steps/runs', { input }, { prefer: 'wait=30' });
  await recorder.called(step);
  const ended = gateway.kill('SIGTERM');
  recorder.release(step);
  const { status } = await answer;
  const { code } = await ended;
  if (code !== 0) throw new Error(`it ended with ${code}`);
  return status;
}

t.test('keys are rotated in three phases under load, and nobody is refused', async (t) => {
  const [old, next] = [platform.secrets.jwtSecret, secret()];
  const load = await startRequestLoad(urls, { clients: 3, logIn });
  t.teardown(() => load.stop());
  await load.answers(10);
  const began = performance.now();

  const finished = await restartEach(load, { JWT_PREVIOUS_SECRETS: next });
  let report = await statusWhen(urls[0] as string, ({ gateways: live, items }) => live === 2 && items.length === 2);
  const oldKid = report.items.find(({ state }) => state === 'signing')?.kid;
  const nextKid = report.items.find(({ kid }) => kid !== oldKid)?.kid;
  report = await statusWhen(urls[0] as string, ({ items }) =>
    items.some(({ kid, safeToSign }) => kid === nextKid && safeToSign),
  );

  finished.push(...(await restartEach(load, { JWT_SECRET: next, JWT_PREVIOUS_SECRETS: old })));
  const isWaiting = ({ items }: Report) => items.some(({ kid, state }) => kid === oldKid && state === 'verify-only');
  report = await statusWhen(urls[0] as string, (it) => it.gateways === 2 && isWaiting(it));
  const retiring = report.items.find(({ kid }) => kid === oldKid);
  t.match(retiring, { safeToRetire: false, why: [/good until/] });
  await load.refresh();
  // By now nobody has a token of the old key any more; the quarter of an hour until that is certain is not waited for.
  await platform.database.sql`
    UPDATE signing_keys SET last_expiry = now() - interval '1 minute' WHERE kid = ${oldKid as string}`;
  await statusWhen(urls[0] as string, ({ items }) => items.some((it) => it.kid === oldKid && it.safeToRetire));

  finished.push(...(await restartEach(load, { JWT_PREVIOUS_SECRETS: '' })));
  await load.answers(10);
  const seconds = (performance.now() - began) / 1000;
  const { statuses, refused, broken, problems } = await load.stop();
  // A machine that has too much to do says so; that has nothing to do with whose keys are known.
  const overload = /^(Too much to do|The database does not answer|This took too long|Access rules have not been read)/;
  const refusals = problems.filter((problem) => !overload.test(problem));
  t.same(refusals, [], `answers: ${JSON.stringify(statuses)}`);
  t.equal(statuses[401] ?? 0, 0);
  t.same(finished, Array<number>(6).fill(200), 'what was under way was answered');
  t.ok(refused > 0, 'gateways were away in turn');
  t.comment(
    `${statuses[200]} requests in ${seconds.toFixed(1)} s over 6 restarts, ${statuses[401] ?? 0} of them 401; ` +
      `${refused} connections refused, ${broken.length} reset (${[...new Set(broken)].join()})`,
  );
});

t.test('without the first phase it would have been seen', async (t) => {
  const load = await startRequestLoad(urls, { clients: 3, logIn });
  t.teardown(() => load.stop());
  // Whoever is not logged in by then would ask a gateway that is gone.
  await load.answers(1);
  const old = secret();
  const [first] = gateways as [ServiceProcess];
  await first.kill('SIGTERM');
  await first.restart({ JWT_SECRET: old });
  await load.answers(10);
  const { statuses } = await load.stop();
  t.ok((statuses[401] ?? 0) > 0, JSON.stringify(statuses));
});
