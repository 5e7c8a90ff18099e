import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import t from 'tap';
import {
  Advice,
  cacheDir,
  endRecorded,
  explain,
  isAlive,
  openToAll,
  processStart,
  run,
  tryLock,
  withLock,
} from '../host.mjs';
import { ensureToolchain } from '../toolchain.mjs';

t.test('dependencies that are installed are left alone', async (t) => {
  const lines: string[] = [];
  // Whatever it would have to wait for or run ends at once.
  await ensureToolchain({ log: (line) => void lines.push(line), signal: AbortSignal.abort() });
  t.same(lines, []);
});

const hostModule = new URL('../host.mjs', import.meta.url).href;

t.test('a process is told from a later one with the same pid by its start', async (t) => {
  const child = spawn('sleep', ['60']);
  const pid = child.pid ?? 0;
  const start = processStart(pid);
  t.ok(isAlive({ pid, start }));
  t.notOk(isAlive({ pid, start: `${start}0` }), 'the same pid started at another time');
  child.kill();
  await once(child, 'exit');
  t.notOk(isAlive({ pid, start }));
});

t.test('a lock is held by one process and falls free with its death', async (t) => {
  const path = join(t.testdir(), 'work.lock');
  const holder = spawn(process.execPath, [
    '--input-type=module',
    '--eval',
    `import { tryLock } from '${hostModule}'; tryLock(${JSON.stringify(path)}); console.log('held'); setInterval(() => {}, 1000)`,
  ]);
  await once(createInterface(holder.stdout), 'line');
  t.same(tryLock(path), { holder: holder.pid });
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  const lock = tryLock(path);
  if (!('release' in lock)) throw new Error('the dead holder still holds it');
  t.same(tryLock(path), { holder: process.pid }, 'not even its own holder takes it twice');
  lock.release();
  t.notOk(existsSync(path));
});

t.test('work under a lock is done by one process at a time', async (t) => {
  const dir = t.testdir();
  const path = join(dir, 'work.lock');
  const log = join(dir, 'log');
  const program = `
    import { appendFileSync } from 'node:fs';
    import { withLock } from '${hostModule}';
    await withLock(${JSON.stringify(path)}, {}, async () => {
      appendFileSync(${JSON.stringify(log)}, 'in ');
      await new Promise((done) => setTimeout(done, 50));
      appendFileSync(${JSON.stringify(log)}, 'out ');
    });`;
  const workers = Array.from({ length: 3 }, () => spawn(process.execPath, ['--input-type=module', '--eval', program]));
  for (const [code] of await Promise.all(workers.map((worker) => once(worker, 'exit')))) t.equal(code, 0);
  t.equal(readFileSync(log, 'utf8'), 'in out '.repeat(3));
});

t.test('waiting for a lock ends with the signal', async (t) => {
  const path = join(t.testdir(), 'work.lock');
  const lock = tryLock(path);
  const controller = new AbortController();
  const waiting = withLock(path, { signal: controller.signal, onWait: () => controller.abort() }, async () => 'never');
  await t.rejects(waiting, { name: 'AbortError' });
  if ('release' in lock) lock.release();
});

t.test('an aborted command ends with everything it started', async (t) => {
  const file = join(t.testdir(), 'pids');
  const controller = new AbortController();
  const script = `sleep 60 & echo "$$ $!" > '${file}.new'; mv '${file}.new' '${file}'; wait`;
  const running = run('sh', ['-c', script], { signal: controller.signal });
  while (!existsSync(file)) await new Promise((wake) => setImmediate(wake));
  controller.abort();
  await t.rejects(running, { name: 'AbortError' });
  // The kernel ends a process soon after its signal, not with it.
  for (const pid of readFileSync(file, 'utf8').trim().split(' ').map(Number)) {
    while (processStart(pid) !== undefined) await new Promise((wake) => setImmediate(wake));
  }
});

t.test('a command that does not exist is a result, not a crash', async (t) => {
  t.match(await run('/no/such/command', []), { code: 127, stderr: /ENOENT/ });
});

t.test('a private folder on the way keeps others out', (t) => {
  const dir = t.testdir({ private: { open: {} } });
  chmodSync(join(dir, 'private'), 0o700);
  t.notOk(openToAll(join(dir, 'private', 'open')));
  t.ok(openToAll('/tmp/there/is/no/such/folder'));
  t.end();
});

t.test('the cache folder', (t) => {
  const dir = t.testdir();
  const open = join('/tmp', `flowstate-cache-test-${process.pid}`);
  t.teardown(() => rmSync(open, { recursive: true }));
  t.equal(cacheDir({ FLOWSTATE_CACHE: open }, dir), open);
  const file = join(dir, 'file');
  writeFileSync(file, '');
  t.throws(() => cacheDir({ FLOWSTATE_CACHE: join(file, 'below') }, dir), /FLOWSTATE_CACHE .*cannot be written to/);
  mkdirSync(join(dir, 'home'));
  const home = cacheDir({ HOME: join(dir, 'home') }, dir);
  const expected =
    process.getuid?.() === 0 && !openToAll(dir) ? '/var/cache/flowstate' : join(dir, 'home/.cache/flowstate');
  t.equal(home, expected, 'below the home folder, unless root has one that the servers cannot enter');
  t.end();
});

t.test('a command that outlived its killed runner is ended by the next one', async (t) => {
  const record = join(t.testdir(), 'install.pid');
  const program = `import { run } from '${hostModule}'; await run('sleep', ['60'], { record: ${JSON.stringify(record)} });`;
  const runner = spawn(process.execPath, ['--input-type=module', '--eval', program]);
  // The file is there an instant before what is written into it.
  const recorded = () => (existsSync(record) ? Number.parseInt(readFileSync(record, 'utf8'), 10) : Number.NaN);
  while (Number.isNaN(recorded())) await new Promise((wake) => setImmediate(wake));
  runner.kill('SIGKILL');
  await once(runner, 'exit');
  const pid = recorded();
  t.ok(processStart(pid), 'it runs on');
  await endRecorded(record);
  t.equal(processStart(pid), undefined);
  t.notOk(existsSync(record));
  await endRecorded(record);
});

t.test('errors the user can do something about are one line', (t) => {
  t.equal(explain(new Advice('do this')), 'do this');
  const denied = Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES', path: '/x/y' });
  t.match(explain(denied), /^\/x\/y cannot be changed by this user.*$/);
  t.match(explain(Object.assign(new Error('write'), { code: 'ENOSPC' })), /^The disk is full\.$/);
  t.match(explain(new Error('a bug')), /a bug\n\s+at /);
  t.end();
});
