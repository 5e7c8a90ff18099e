import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createClient, startPlatform, startRecorder, type ServiceProcess } from '@flowstate/test';
import t from 'tap';

type Run = { id: string; state: string };

/** Between two looks, or two requests of a client: the machine must be left to the services that start meanwhile. */
const paceMs = 50;

const platform = await startPlatform(t, {
  workflows: fileURLToPath(new URL('../fixtures/workflows', import.meta.url)),
});
const { sql } = platform.database;
const manager = await platform.as('manager');

/** Which of these processes has the run in hand. */
async function ownerOf(runId: string, workers: ServiceProcess[]): Promise<ServiceProcess> {
  for (;;) {
    const [owner] = await sql<{ url: string | null }[]>`
      SELECT w.url FROM run_live l JOIN workers w ON w.id = l.owner WHERE l.id = ${runId}`;
    const worker = workers.find(({ url }) => url === owner?.url);
    if (worker !== undefined) return worker;
    await wait(paceMs);
  }
}

/** Resolves when it says so once more than it has so far. */
async function loggedAgain(service: ServiceProcess, msg: string): Promise<void> {
  const count = () => service.log.filter((line) => line.msg === msg).length;
  const before = count();
  await service.logged((line) => line.msg === msg && count() > before);
}

await t.test('a long run outlives one scale-down after the other, and no recorded step is repeated', async (t) => {
  const recorder = await startRecorder(t);
  const steps = 4;
  for (let n = 1; n <= steps; n++) recorder.hold(`step-${n}`);
  const input = { recorder: recorder.url, steps };
  const { body } = await manager.post<Run>('/api/workflows/recorded-steps/runs', { input });
  const workers = [platform.worker, await platform.addWorker()];
  const drains: number[] = [];
  for (let n = 1; n < steps; n++) {
    await recorder.called(`step-${n}`);
    const leaving = await ownerOf(body.id, workers);
    const begun = performance.now();
    const draining = loggedAgain(leaving, 'draining');
    leaving.signal('SIGTERM');
    await draining;
    recorder.release(`step-${n}`);
    t.same(await leaving.ended(), { code: 0, signal: null });
    drains.push(Math.round(performance.now() - begun));
    await leaving.restart();
  }
  await recorder.called(`step-${steps}`);
  recorder.release(`step-${steps}`);
  const events = await Array.fromAsync(manager.events(body.id));
  t.match(events.at(-1), { event: 'run.completed' });
  t.same(
    recorder.calls.map((call) => call.split('/')[1]),
    Array.from({ length: steps }, (_, n) => `step-${n + 1}`),
  );
  t.comment(`drained, a step under way, in ${drains.join(', ')} ms`);
});

await t.test('every service restarts in turn under load: no request fails, no run is lost', async (t) => {
  const others = await Promise.all([platform.addGateway(), platform.addWorker(), platform.addController()]);
  const [gateway] = others;
  const load = startRunLoad([platform.gateway.url, gateway.url]);
  t.teardown(() => load.stop());
  // As when all deployments are rolled out at once: half of each is there at any moment.
  for (const half of [[platform.gateway, platform.worker, platform.controller], others]) {
    await load.started(10);
    const ended = await Promise.all(half.map((service) => service.kill('SIGTERM')));
    t.ok(ended.every(({ code }) => code === 0));
    await load.started(10);
    await Promise.all(half.map((service) => service.restart()));
  }
  await load.started(10);
  const { runs, failed } = await load.stop();
  t.same(failed, [], `${runs.length} runs were started`);
  const ends = async () =>
    sql<{ state: string; runs: number }[]>`
      SELECT state, count(*)::int AS runs FROM run_ends WHERE id = ANY(${runs}::uuid[]) GROUP BY state`;
  let ended = await ends();
  while (ended.reduce((sum, each) => sum + each.runs, 0) < runs.length) {
    await wait(paceMs);
    ended = await ends();
  }
  t.same(ended, [{ state: 'completed', runs: runs.length }], 'each once');
});

/** Clients that start one run after the other, each at the next gateway that takes connections, as behind a balancer. */
function startRunLoad(urls: string[]) {
  const runs: string[] = [];
  const failed: string[] = [];
  const waiting = new Set<() => void>();
  const stop = new AbortController();

  async function send(first: number): Promise<void> {
    for (let tried = 0; tried < urls.length; tried++) {
      const client = createClient(urls[(first + tried) % urls.length] as string, manager.token);
      try {
        const { status, body } = await client.post<Run>('/api/workflows/doubling/runs', { input: { n: first } });
        if (status === 202) runs.push(body.id);
        else failed.push(`${status} ${JSON.stringify(body)}`);
        return;
      } catch (error) {
        const { code = String(error) } = ((error as Error).cause ?? error) as { code?: string };
        if (code !== 'ECONNREFUSED') failed.push(code);
      }
    }
    failed.push('no gateway takes connections');
  }

  const clients = [0, 1, 2].map(async (start) => {
    for (let n = start; !stop.signal.aborted; n++) {
      await send(n);
      for (const wake of waiting) wake();
      await wait(paceMs);
    }
  });
  return {
    started(more: number): Promise<void> {
      const wanted = runs.length + more;
      return new Promise((resolve) => {
        const check = () => {
          if (runs.length < wanted) return;
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
      });
    },
    async stop() {
      stop.abort();
      await Promise.all(clients);
      return { runs, failed };
    },
  };
}
