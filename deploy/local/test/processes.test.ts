import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import t from 'tap';
import { processStart } from '../host.mjs';
import { createProcessRecord, readProcesses, reapOrphans } from '../src/processes.ts';

const processesModule = new URL('../src/processes.ts', import.meta.url).href;

/** A supervisor that starts one recorded child, which shrugs SIGTERM off when told to. */
async function startSupervisor(file: string, child: string) {
  const program = `
    import { spawn } from 'node:child_process';
    import { createProcessRecord } from '${processesModule}';
    const record = createProcessRecord(${JSON.stringify(file)});
    const child = spawn('sh', ['-c', ${JSON.stringify(child)}], { detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
    record.add('worker', child.pid, 'http://127.0.0.1:1/');
    child.stdout.once('data', () => console.log('ready'));`;
  const supervisor = spawn(process.execPath, ['--input-type=module', '--eval', program], { stdio: 'pipe' });
  await once(createInterface(supervisor.stdout), 'line');
  return supervisor;
}

t.test('a living supervisor keeps its children', async (t) => {
  const file = join(t.testdir(), 'processes.json');
  const supervisor = await startSupervisor(file, 'echo up; exec sleep 60');
  const { children } = readProcesses(file);
  t.match(children, [{ name: 'worker', address: 'http://127.0.0.1:1/' }]);
  t.same(await reapOrphans(file), [], 'nothing is ended under its feet');
  t.ok(processStart(children[0]?.pid ?? 0));
  supervisor.kill('SIGKILL');
  await once(supervisor, 'exit');
  t.equal(readProcesses(file).supervisor, undefined);
  t.same(await reapOrphans(file), ['worker']);
  t.equal(processStart(children[0]?.pid ?? 0), undefined);
  t.notOk(existsSync(file));
});

t.test('an orphan that does not stop is killed, its own children with it', async (t) => {
  const file = join(t.testdir(), 'processes.json');
  const supervisor = await startSupervisor(file, "trap '' TERM; sleep 60 & echo up; while :; do wait; done");
  supervisor.kill('SIGKILL');
  await once(supervisor, 'exit');
  const [orphan] = readProcesses(file).children;
  t.same(await reapOrphans(file, 200), ['worker']);
  t.equal(processStart(orphan?.pid ?? 0), undefined);
});

t.test('a pid that went to another process is left alone', async (t) => {
  const file = join(t.testdir(), 'processes.json');
  const bystander = spawn('sleep', ['60'], { detached: true });
  const entry = { name: 'worker', pid: bystander.pid, start: '12345678-1' };
  writeFileSync(file, JSON.stringify({ supervisor: entry, children: [entry] }));
  t.same(await reapOrphans(file), []);
  t.ok(processStart(bystander.pid ?? 0));
  bystander.kill();
  await once(bystander, 'exit');
});

t.test('the record names what is running at the moment', async (t) => {
  const file = join(t.testdir(), 'processes.json');
  const record = createProcessRecord(file);
  const child = spawn('sleep', ['60']);
  record.add('gateway', child.pid ?? 0);
  t.match(JSON.parse(readFileSync(file, 'utf8')), {
    supervisor: { pid: process.pid },
    children: [{ name: 'gateway' }],
  });
  record.remove(child.pid ?? 0);
  t.match(JSON.parse(readFileSync(file, 'utf8')), { children: [] });
  child.kill();
  await once(child, 'exit');
  record.clear();
  t.notOk(existsSync(file));
});
