import { fileURLToPath } from 'node:url';
import { startPlatform, startRecorder } from '@flowstate/test';
import t from 'tap';

const workflows = fileURLToPath(new URL('../fixtures/workflows', import.meta.url));
const platform = await startPlatform(t, { workflows });
const manager = await platform.as('manager');

type Run = { id: string; state: string; output: unknown; error: { code: string; message: string } | null };
type Step = { name: string; state: string; output: unknown };

const start = async (workflow: string, body: unknown): Promise<string> => {
  const answer = await manager.post<Run>(`/api/workflows/${workflow}/runs`, body);
  t.equal(answer.status, 202, JSON.stringify(answer.body));
  return answer.body.id;
};
const ended = async (id: string) => {
  const events = await Array.fromAsync(manager.events(id));
  return { events, run: (await manager.get<Run>(`/api/runs/${id}`)).body };
};

t.test('a run whose time to live is over ends as cancelled, queued or in the middle of a step', async (t) => {
  const recorder = await startRecorder(t);
  recorder.hold('step-1');
  const input = { recorder: recorder.url, steps: 2 };
  const queued = await start('recorded-steps', { input, delayMs: 600_000, ttlMs: 1 });
  const running = await start('recorded-steps', { input, ttlMs: 600_000 });
  await recorder.called('step-1');
  await platform.database.sql`UPDATE run_live SET expires_at = now() WHERE id = ${running}`;
  for (const id of [queued, running]) {
    const { events, run } = await ended(id);
    t.match(run, { state: 'cancelled', error: { code: 'expired', message: /time to live/ } });
    t.match(events.at(-1), { event: 'run.cancelled', data: { data: { error: { code: 'expired' } } } });
  }
  t.same(recorder.calls, [`${running}/step-1`], 'nothing more was begun');
});

t.test('a large result is handed from worker to worker, and events only refer to it', async (t) => {
  const recorder = await startRecorder(t);
  recorder.hold('check');
  const id = await start('large-value', { input: { recorder: recorder.url, length: 3_000_000 } });
  await recorder.called('check');
  await platform.worker.kill('SIGKILL');
  recorder.release('check');
  await platform.worker.restart();
  const { events, run } = await ended(id);
  t.equal((run.output as { value: string }).value.length, 3_000_000);
  t.same(recorder.calls, [`${id}/make`, `${id}/check`, `${id}/check`]);
  const made = events.find(({ event }) => event === 'step.completed')?.data as { data: { outputRef: { ref: string } } };
  t.match(made.data, { name: 'make', outputRef: { bytes: 3_000_002 } });
  t.ok(JSON.stringify(events).length < 10_000);

  const { body } = await manager.get<{ items: Step[] }>(`/api/runs/${id}/steps`);
  t.equal(String(body.items[0]?.output).length, 3_000_000);
  const payload = await manager.get<unknown>(`/api/runs/${id}/payloads/${made.data.outputRef.ref}`);
  t.equal((payload.body as string).length, 3_000_000);
  t.equal((await manager.get(`/api/runs/${id}/payloads/none`)).status, 404);
  const list = await manager.get<{ items: Run[] }>('/api/runs?workflow=large-value');
  t.match(list.body.items, [{ output: { bytes: 3_000_012 } }]);
  const agent = await platform.as('agent');
  t.equal((await agent.get(`/api/runs/${id}/payloads/${made.data.outputRef.ref}`)).status, 404, 'not theirs');
});

t.test('a result over its limit fails its step and says how large it was', async (t) => {
  const recorder = await startRecorder(t);
  const id = await start('large-value', { input: { recorder: recorder.url, length: 8 * 1024 * 1024 } });
  const { run } = await ended(id);
  t.match(run, {
    state: 'failed',
    error: { code: 'payload_too_large', step: 'make', message: /is 8388610 bytes as JSON, over 8388608/ },
  });
});

t.test('the controller deletes what is older than RETENTION_DAYS, and counts it', async (t) => {
  const recorder = await startRecorder(t);
  const input = { recorder: recorder.url, steps: 1 };
  const [old, young] = [await start('recorded-steps', { input }), await start('recorded-steps', { input })];
  await Promise.all([ended(old), ended(young)]);
  await platform.database.sql`UPDATE run_ends SET finished_at = now() - interval '31 days' WHERE id = ${old}`;
  const aged = old.replace(/^.{13}/, '01800000-0000'); // accepted in April 2022
  await platform.database.sql`UPDATE runs SET id = ${aged} WHERE id = ${old}`;
  await platform.database.sql`UPDATE run_ends SET id = ${aged} WHERE id = ${old}`;
  t.match(await manager.get<Run>(`/api/runs/${aged}`), { status: 200, body: { state: 'completed' } });

  await platform.controller.kill('SIGTERM');
  await platform.controller.restart();
  const metric = async (name: string) => {
    const text = await (await fetch(new URL('/metrics', platform.controller.url))).text();
    return Number(new RegExp(`^${name.replaceAll(/[{}]/g, '\\$&')} (.*)$`, 'm').exec(text)?.[1] ?? 0);
  };
  while ((await metric('flowstate_retention_deleted_total{table="runs"}')) === 0);
  t.equal((await manager.get(`/api/runs/${aged}`)).status, 404);
  t.equal((await manager.get(`/api/runs/${young}`)).status, 200);
  const age = await metric('flowstate_retention_oldest_run_age_seconds');
  t.ok(age > 0 && age < 3_600, 'the oldest one left ended in this test');
});
