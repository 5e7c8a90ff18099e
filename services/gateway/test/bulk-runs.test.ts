import type { BulkLine, BulkProgress } from '@flowstate/contracts';
import { claimRuns, containUser, deleteFinishedRuns, readRun, ruleByAge } from '@flowstate/store';
import t, { type Test } from 'tap';
import { createGatewayFixture } from './fixtures/gateway-fixture.ts';
import { addRun, addWorker, failRun } from './fixtures/owned-run.ts';

async function setUp(t: Test) {
  const { addGateway, sql, users } = await createGatewayFixture(t);
  const gateway = await addGateway();
  const worker = await addWorker(sql);
  const run = (role: 'agent' | 'manager' = 'agent', owner: number | null = null) =>
    addRun(sql, { principalId: users[role].id, role, owner });
  const failed = async (role: 'agent' | 'manager' = 'agent') => {
    const id = await run(role, worker);
    await failRun(sql, worker, id);
    return id;
  };
  const tokens = { agent: await gateway.tokenOf('agent'), manager: await gateway.tokenOf('manager') };
  const post = (action: string, body: unknown, role: 'agent' | 'manager' = 'manager') =>
    gateway.call('POST', `/api/runs/${action}`, { token: tokens[role], body });
  /** The totals, and every failure. */
  async function change(action: string, body: unknown, role: 'agent' | 'manager' = 'manager') {
    const answer = await post(action, body, role);
    t.match(answer, { status: 200, headers: { 'content-type': /application\/x-ndjson/ } }, answer.text);
    const lines = answer.text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as BulkLine) as BulkProgress[];
    const { matched, changed, done } = lines.at(-1) as BulkProgress;
    t.ok(done);
    t.ok(lines.slice(0, -1).every((line) => !line.done));
    return { matched, changed, failed: lines.flatMap((line) => line.failed), lines: lines.length };
  }
  const stateOf = async (id: string) => (await readRun(sql, id))?.state;
  return { sql, gateway, worker, users, run, failed, post, change, stateOf, tokens };
}

t.test('cancel: what matches and lives, in batches; a dry run only counts', async (t) => {
  const { gateway, users, run, failed, change, stateOf, sql, worker } = await setUp(t);
  const queued = await Promise.all(Array.from({ length: 410 }, () => run()));
  const running = await run('agent', worker);
  const over = await failed();
  await sql`UPDATE runs SET tags = ARRAY['batch'] WHERE id = ANY(${[...queued, running, over]}::uuid[])`;
  const other = await run();

  t.match(await change('cancel', { tag: 'batch', dryRun: true }), { matched: 411, changed: 0, failed: [], lines: 1 });
  t.equal(await stateOf(queued[0] ?? ''), 'queued', 'a dry run leaves the ledger alone');
  t.match(await change('cancel', { tag: 'batch', state: 'running' }), { matched: 1, changed: 1 });
  t.match(await sql`SELECT cancel FROM run_live WHERE id = ${running}`, [{ cancel: true }], 'its owner is told');
  t.match(await change('cancel', { workflow: 'probe', tag: 'batch' }), {
    matched: 411,
    changed: 411,
    failed: [],
    lines: 3,
  });
  for (const id of queued) t.equal(await stateOf(id), 'cancelled');
  t.equal(await stateOf(over), 'failed');
  t.equal(await stateOf(other), 'queued');
  t.match(await change('cancel', { workflow: 'nothing' }), { matched: 0, changed: 0, failed: [] });
  const by = { action: 'run.cancel', actor: users.manager.id, outcome: 'success' };
  t.match(gateway.audited, [
    { ...by, details: { tag: 'batch', state: 'running', matched: 1, changed: 1 } },
    { ...by, details: { workflow: 'probe', tag: 'batch', matched: 411, changed: 411 } },
    { ...by, details: { workflow: 'nothing', matched: 0 } },
  ]);
  t.equal(gateway.audited.length, 3, 'a dry run is no entry');
});

t.test('cancel: children go with their parents, whoever else matches', async (t) => {
  const { sql, run, change, stateOf } = await setUp(t);
  const [parent, child, stranger] = [await run(), await run(), await run()];
  await sql`UPDATE runs SET parent_id = ${parent} WHERE id = ${child}`;
  await sql`UPDATE run_live SET parent_id = ${parent} WHERE id = ${child}`;
  t.match(await change('cancel', { ids: [parent] }), { matched: 1, changed: 1 });
  t.same([await stateOf(parent), await stateOf(child), await stateOf(stranger)], ['cancelled', 'cancelled', 'queued']);
  const again = [await run(), await run()];
  await sql`UPDATE run_live SET parent_id = ${again[0] ?? ''} WHERE id = ${again[1] ?? ''}`;
  await sql`UPDATE runs SET parent_id = ${again[0] ?? ''} WHERE id = ${again[1] ?? ''}`;
  t.match(await change('cancel', { ids: again }), { matched: 2, changed: 2, failed: [] }, 'both named');
});

t.test('retry: failed ones whose last attempt it was, once', async (t) => {
  const { run, failed, change, stateOf, sql, worker } = await setUp(t);
  const ids = await Promise.all(Array.from({ length: 230 }, () => failed()));
  const queued = await run();
  t.match(await change('retry', { workflow: 'probe', dryRun: true }), { matched: 230, changed: 0 });
  t.match(await change('retry', { state: 'failed' }), { matched: 230, changed: 230, failed: [], lines: 2 });
  for (const id of ids) t.match(await readRun(sql, id), { state: 'queued', attempt: 2 });
  t.equal(await stateOf(queued), 'queued');
  t.match(await change('retry', { state: 'failed' }), { matched: 0, changed: 0 });

  const [first = ''] = ids;
  const [probe] = await sql<{ id: number }[]>`SELECT id FROM workflows`;
  await claimRuns(sql, worker, [probe?.id ?? 0], [first]);
  const [live] = await sql<{ chunk: number }[]>`SELECT chunk FROM run_live WHERE id = ${first}`;
  await sql`DELETE FROM run_live WHERE id = ${first}`;
  await sql`
    INSERT INTO run_ends (id, attempt, state, seq_base, last_seq, chunk, events)
    VALUES (${first}, 2, 'cancelled', 3, 6, ${live?.chunk ?? 0}, '[]')`;
  t.match(await change('retry', { ids: [first] }), {
    matched: 0,
    failed: [{ id: first, code: 'conflict', message: /this one is cancelled/ }],
  });
});

t.test('only own runs for who sees only those; what is named and cannot be changed is told', async (t) => {
  const { run, failed, change, stateOf } = await setUp(t);
  const [mine, foreign, over] = [await run('agent'), await run('manager'), await failed('agent')];
  const unknown = crypto.randomUUID();
  t.match(await change('cancel', { workflow: 'probe', dryRun: true }, 'agent'), { matched: 1 });
  const answer = await change('cancel', { ids: [mine.toUpperCase(), foreign, over, unknown, unknown] }, 'agent');
  t.match(answer, { matched: 1, changed: 1 });
  t.same(
    new Map(answer.failed.map(({ id, code }) => [id, code])),
    new Map([
      [foreign, 'not_found'],
      [over, 'conflict'],
      [unknown, 'not_found'],
    ]),
  );
  t.equal(answer.failed.length, 3);
  t.equal(await stateOf(foreign), 'queued');
  t.match(await change('cancel', { workflow: 'probe' }), { matched: 1, changed: 1 }, 'a manager sees all');
  const foreignFailed = await failed('manager');
  t.match(await change('retry', { workflow: 'probe' }, 'agent'), { matched: 1, changed: 1 });
  t.equal(await stateOf(foreignFailed), 'failed');
});

t.test('whoever is contained meanwhile changes no further batch', async (t) => {
  const { run, post, stateOf, sql, gateway, users } = await setUp(t);
  const ids = await Promise.all(Array.from({ length: 410 }, () => run()));
  ids.sort();
  const blocked = () =>
    sql`SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  const { changing } = await sql.begin(async (tx) => {
    await tx`SELECT FROM run_live WHERE id = ${ids[300] ?? ''} FOR UPDATE`;
    const changing = post('cancel', { workflow: 'probe' });
    while ((await blocked()).length === 0);
    await sql.begin((other) => containUser(other, { userId: users.manager.id, reason: 'test', authorId: null }));
    await gateway.identity.policy.refresh();
    return { changing };
  });
  const lines = (await changing).text.trim().split('\n');
  t.match(JSON.parse(lines.at(-1) ?? ''), { error: { code: 'forbidden', detail: /Access has changed/ } });
  t.same([await stateOf(ids[0] ?? ''), await stateOf(ids[399] ?? '')], ['cancelled', 'cancelled']);
  t.equal(await stateOf(ids[400] ?? ''), 'queued');
});

t.test('filters by time', async (t) => {
  const { sql, run, change, stateOf } = await setUp(t);
  const [old, young] = [await run(), await run()];
  await sql`UPDATE runs SET created_at = now() - interval '2 days' WHERE id = ${old}`;
  const yesterday = new Date(Date.now() - 24 * 3_600_000).toISOString();
  t.match(await change('cancel', { createdAfter: yesterday, dryRun: true }), { matched: 1 });
  t.match(await change('cancel', { createdBefore: yesterday }), { matched: 1, changed: 1 });
  t.same([await stateOf(old), await stateOf(young)], ['cancelled', 'queued']);
});

t.test('bad input names the field and changes nothing', async (t) => {
  const { gateway, run, post, stateOf, tokens } = await setUp(t);
  const id = await run();
  for (const [action, body, detail] of [
    ['cancel', {}, /body must have at least one of workflow, state, tag/],
    ['cancel', { dryRun: true }, /at least one of/],
    ['cancel', { workflw: 'probe' }, /workflw is not known here/],
    ['cancel', { state: 'completed' }, /state must be one of queued, running, waiting, parked/],
    ['retry', { state: 'queued' }, /state must be one of failed/],
    ['cancel', { ids: [] }, /ids/],
    ['cancel', { ids: ['x'] }, /ids\.0/],
    ['cancel', { createdAfter: 'yesterday' }, /createdAfter/],
    ['cancel', { workflow: 'a\u0000' }, /workflow/],
    ['retry', [], /must be object/],
  ] as const) {
    t.match(await post(action, body), { status: 400, body: { code: 'invalid_input', detail } }, JSON.stringify(body));
  }
  t.equal(await stateOf(id), 'queued');
  const analyst = await gateway.tokenOf('analyst');
  t.equal((await gateway.call('POST', '/api/runs/cancel', { token: analyst, body: { ids: [id] } })).status, 403);
  t.equal((await gateway.call('POST', '/api/runs/cancel', { body: { ids: [id] } })).status, 401);
  t.ok(tokens.manager);
});

t.test('a run that retention took answers 404 everywhere', async (t) => {
  const { gateway, sql, failed, tokens } = await setUp(t);
  const id = await failed();
  await sql`UPDATE run_ends SET finished_at = now() - interval '31 days' WHERE id = ${id}`;
  await deleteFinishedRuns(sql, [id], await ruleByAge(sql, 30));
  for (const path of ['', '/steps', '/events', '/payloads/x']) {
    t.equal((await gateway.call('GET', `/api/runs/${id}${path}`, { token: tokens.manager })).status, 404, path);
  }
  for (const [path, body] of [
    ['cancel', undefined],
    ['retry', undefined],
    ['fork', { fromStep: 'x' }],
    ['signals/go', {}],
    ['resolve', { outcome: 'abandon' }],
  ] as const) {
    const { status } = await gateway.call('POST', `/api/runs/${id}/${path}`, {
      token: tokens.manager,
      ...(body && { body }),
    });
    t.equal(status, 404, path);
  }
  const { body } = await gateway.call('GET', '/api/runs', { token: tokens.manager });
  t.same(body['items'], []);
});
