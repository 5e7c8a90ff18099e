import { rootCertificates } from 'node:tls';
import { createLogger } from '@flowstate/runtime';
import { Registry } from '@prometheus-io/client';
import t from 'tap';
import { readConfig } from '../src/config.ts';
import { createPodCosts } from '../src/scaling/pod-costs.ts';
import { readKubernetes } from '../src/scaling/scaling-settings.ts';
import { startKubernetesApi } from './fixtures/kubernetes-api.ts';
import { createScalingFixture } from './fixtures/scaling-fixture.ts';

t.test('while workers are too many, Kubernetes learns what each has in hand, and nothing it does harms', async (t) => {
  const [fixture, cluster] = await Promise.all([createScalingFixture(t), startKubernetesApi(t)]);
  const { sql, ledger, accept, addWorker, claim, decide, feeder, finish, inFlight, principal } = fixture;
  const { asked, costs, state, write } = cluster;
  const warnings: string[] = [];
  const log = createLogger('test', 'silent');
  log.warn = (details: { err: Error }) => warnings.push(details.err.message);
  let ms = 0;
  const begin = (timeoutMs: number) => {
    const registry = new Registry();
    const mark = createPodCosts({ sql: ledger, api: { ...cluster.api, timeoutMs }, registry, log, now: () => ms });
    return { mark, counted: async (outcome: string) => (await registry.metrics()).includes(outcome) };
  };
  const { mark, counted } = begin(10_000);
  /** Decides and marks; answers who was asked for. */
  async function pass(by = mark): Promise<string[]> {
    await decide();
    await by();
    return asked();
  }

  const hosts = ['worker-a', 'worker-b', 'worker-c', 'laptop', '../secrets/mine', 'worker-a.other', 'Worker'];
  const workers = new Map<string, number>();
  for (const host of hosts) workers.set(host, await addWorker(16, host));
  for (const pod of hosts.slice(0, 3)) cluster.addPod(pod);
  const runs: string[] = [];
  /** Has a worker take so many runs more. */
  async function give(host: string, count: number): Promise<string[]> {
    await accept(principal(), count);
    await feeder.feed();
    const fresh = (await inFlight()).filter((id) => !runs.includes(id));
    runs.push(...fresh);
    await claim(workers.get(host) ?? 0, fresh);
    return fresh;
  }
  const ofA = await give('worker-a', 5);
  await give('worker-b', 1);

  t.same(await pass(), ['laptop', 'worker-a', 'worker-b', 'worker-c'], 'who can be a pod');
  t.same(costs(), { 'worker-a': '4', 'worker-b': '1', 'worker-c': '0' });
  t.match(cluster.annotations('worker-a'), { 'another.example/annotation': 'stays' });
  t.same(await pass(), [], 'nothing new, and there is no pod "laptop"');
  await give('worker-a', 1);
  t.same(await pass(), [], 'six are about five');
  await give('worker-c', 2);
  for (const id of ofA) await finish(workers.get('worker-a') ?? 0, id);
  t.same(await pass(), ['worker-a', 'worker-c'], 'who changed');
  t.same(costs(), { 'worker-a': '1', 'worker-b': '1', 'worker-c': '2' });

  await give('worker-b', 1);
  state.token = 'token-2';
  t.same(await pass(), ['worker-b']);
  t.same(await pass(), ['worker-b'], 'tried again');
  t.match(warnings.splice(0), [/^the Kubernetes API answers 401/], 'and told once');
  await write('token', 'token-2\n');
  await pass();
  t.equal(costs()['worker-b'], '2', 'a token that was replaced is read anew');

  await give('worker-b', 2);
  state.allowed = false;
  await pass();
  t.match(warnings.splice(0), [/^the Kubernetes API answers 403: .*pods\/status/]);
  t.ok(await counted('flowstate_pod_marks_total{outcome="refused"} 3'));
  state.allowed = true;
  await write('ca.crt', rootCertificates[0] ?? '');
  await pass();
  t.equal(costs()['worker-b'], '2', 'nobody we know answers there');
  await write('ca.crt', cluster.authority);
  await pass();
  t.equal(costs()['worker-b'], '4');
  t.same(warnings.splice(0), [], 'it had been told of');

  cluster.removePod('worker-c');
  await give('worker-c', 2);
  t.same([await pass(), await pass()], [['worker-c'], []], 'a pod that is gone is not asked for twice');
  t.ok(await counted('flowstate_pod_marks_total{outcome="gone"} 2'));

  const hasty = begin(50);
  state.hangs = true;
  await pass(hasty.mark);
  t.ok(await hasty.counted('flowstate_pod_marks_total{outcome="failed"} 4'), 'a new leader knows of no mark');
  t.equal(warnings.splice(0).length, 1, 'and has no answer in time');
  state.hangs = false;
  t.same(await pass(), [], 'who led all the time knows');
  ms += 31_000;
  t.same(await pass(), ['laptop', 'worker-a', 'worker-b', 'worker-c'], 'who did not for a while marks all anew');

  await accept(principal(), 400);
  await finish(workers.get('worker-b') ?? 0, runs[5] ?? '');
  t.same(await pass(), [], 'with work for everybody nobody leaves');
  await sql`DELETE FROM run_live WHERE owner IS NULL`;
  await give('worker-b', 9);
  await decide();
  await sql`UPDATE scaling_state SET computed_at = now() - interval '1 minute' WHERE queue = 'documents'`;
  await mark();
  t.same(asked(), [], 'what nobody decided scales nothing');
  t.same(await pass(), ['worker-b']);
});

t.test('pods are marked only where it was asked for and there are any', async (t) => {
  const env = { DATABASE_URL: 'postgres://x', REDIS_URL: 'redis://x' };
  const inCluster = { ...env, KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' };
  t.equal(readKubernetes(readConfig(inCluster)), undefined);
  const on = { POD_DELETION_COST: 'true' };
  t.match(readKubernetes(readConfig({ ...inCluster, ...on })), { host: 'fd00::1', port: 6443 });
  t.throws(() => readConfig({ ...env, ...on }), {
    message: /^KUBERNETES_SERVICE_HOST is required with POD_DELETION_COST/,
  });
  t.throws(() => readConfig({ ...inCluster, ...on, KUBERNETES_SERVICE_HOST: 'a b' }), {
    message: /^KUBERNETES_SERVICE_HOST must be an address/,
  });
});
