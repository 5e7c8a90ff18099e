import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPlatform } from '@flowstate/test';
import t from 'tap';
import { readme } from '../configuration-table.ts';

t.test("README's example of a workflow and an agent runs as it stands there", async (t) => {
  const text = await readFile(readme, 'utf8');
  const [, file, code] = /<!-- example: (\S+) -->\s+```ts\n([\s\S]*?)```/.exec(text) ?? [];
  if (file === undefined || code === undefined) throw new Error('README has lost its example');
  // Somewhere with no node_modules: a team's folder knows nothing of ours.
  const folder = await mkdtemp(join(tmpdir(), 'my-workflows-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, file), code);

  const platform = await startPlatform(t, { workflows: folder });
  const manager = await platform.as('manager');
  const customer = await manager.post('/api/customers', { externalId: 'ACME', name: 'Acme Ltd' });
  t.equal(customer.status, 201);
  const run = await manager.post(
    '/api/workflows/greeting/runs',
    { input: { customerId: 'ACME' } },
    { prefer: 'wait=20' },
  );
  t.match(run.body, { state: 'completed', output: { greeting: 'Hello Acme Ltd' } });
  const refused = await manager.post('/api/workflows/greeting/runs', { input: {} });
  t.equal(refused.status, 400, 'the gateway knows the schema without a release');
});
