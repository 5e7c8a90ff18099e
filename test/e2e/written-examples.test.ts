import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { scripted, startModelServer, startPlatform } from '@flowstate/test';
import t from 'tap';

const chapter = new URL('../../packages/workflow/README.md', import.meta.url);

t.test('the written examples of workflows, agents and a tool run as they stand there', async (t) => {
  const text = await readFile(chapter, 'utf8');
  const examples = [...text.matchAll(/<!-- example: (\S+) -->\s+```ts\n([\s\S]*?)```/g)];
  t.same(
    examples.map(([, file]) => file),
    ['greeting.ts', 'icebreaker.ts'],
  );
  // Somewhere with no node_modules: a team's folder knows nothing of ours.
  const folder = await mkdtemp(join(tmpdir(), 'my-workflows-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  for (const [, file = '', code = ''] of examples) await writeFile(join(folder, file), code);

  const opening = 'How is the bread today?';
  const lookUp = { calls: [{ tool: 'industry_of', input: { customerId: 'ACME' } }] };
  const model = await startModelServer(t, scripted(lookUp, { json: { opening } }));
  const env = { LLM_BASE_URL: model.url, LLM_MODEL: 'scripted' };
  const platform = await startPlatform(t, { workflows: folder, env });
  const manager = await platform.as('manager');
  const customer = await manager.post('/api/customers', { externalId: 'ACME', name: 'Acme Ltd', industry: 'bakery' });
  t.equal(customer.status, 201);
  const start = (workflow: string, input: object) =>
    manager.post(`/api/workflows/${workflow}/runs`, { input }, { prefer: 'wait=20' });
  t.match((await start('greeting', { customerId: 'ACME' })).body, {
    state: 'completed',
    output: { greeting: 'Hello Acme Ltd' },
  });
  t.equal((await start('greeting', {})).status, 400, 'the gateway knows the schema without a release');
  t.match((await start('icebreaker', { customerId: 'ACME' })).body, { state: 'completed', output: { opening } });
  t.match(model.requests[1]?.body.messages.at(-1), { role: 'tool', content: /\n\{"industry":"bakery"\}\n/ });
});
