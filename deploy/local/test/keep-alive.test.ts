import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { processStart } from '../host.mjs';
import { keepAlive, type KeptSpec } from '../src/keep-alive.ts';
import { createProcessRecord, readProcesses } from '../src/processes.ts';

function setUp(t: Test, script: string, spec: Partial<KeptSpec> = {}) {
  // Not tap's folder, which goes before the process that writes into it.
  const dir = mkdtempSync(join(tmpdir(), 'keep-alive-'));
  const file = join(dir, 'processes.json');
  const lines: string[] = [];
  const said: string[] = [];
  const heard: ((line: string) => void)[] = [];
  const kept = keepAlive(
    {
      name: 'worker',
      command: 'sh',
      args: ['-c', script],
      env: { PATH: process.env['PATH'], DIR: dir },
      onLine(line) {
        lines.push(line);
        for (const hear of heard.splice(0)) hear(line);
      },
      ready: async () => void (lines.length > 0 || (await nextLine())),
      graceMs: 5_000,
      ...spec,
    },
    { log: (line) => said.push(line), record: createProcessRecord(file) },
  );
  const nextLine = (): Promise<string> => new Promise((resolve) => heard.push(resolve));
  t.teardown(async () => {
    await kept.down('SIGKILL');
    rmSync(dir, { recursive: true });
  });
  return { kept, dir, lines, said, nextLine, recorded: () => readProcesses(file).children };
}

t.test('a process that dies is started again, and it is said so', async (t) => {
  const { kept, said, nextLine, recorded } = setUp(t, 'echo "up $$"; exec sleep 60');
  await kept.up();
  const first = kept.pid() ?? 0;
  t.match(recorded(), [{ name: 'worker', pid: first }]);
  const again = nextLine();
  process.kill(first, 'SIGKILL');
  await again;
  t.not(kept.pid(), first);
  t.same(said, ['worker stopped (SIGKILL); starting it again in 0.5 s']);
  t.match(recorded(), [{ name: 'worker', pid: kept.pid() }], 'only the new one is recorded');
});

t.test('delays grow while it keeps dying', async (t) => {
  // It looks before it speaks: what is made once it was heard is for those that follow.
  const script = '[ -e "$DIR/dying" ]; dies=$?; echo up; [ $dies = 0 ] && exit 3; exec sleep 60';
  const { kept, dir, said, nextLine } = setUp(t, script);
  await kept.up();
  writeFileSync(join(dir, 'dying'), '');
  const twice = nextLine().then(nextLine);
  process.kill(kept.pid() ?? 0, 'SIGKILL');
  await twice;
  t.match(said, [/SIGKILL.* in 0\.5 s/, /exit code 3.* in 1 s/]);
});

t.test('one that ends before it serves is not tried again; its last words are in the error', async (t) => {
  const { kept, said, recorded } = setUp(t, 'echo "the port is taken" >&2; exit 7', {
    ready: () => new Promise(() => undefined),
  });
  await t.rejects(kept.up(), { message: 'worker did not start (exit code 7): the port is taken' });
  t.same(said, []);
  t.equal(kept.pid(), undefined);
  t.same(recorded(), []);
});

t.test('a command that does not exist says so', async (t) => {
  const { kept } = setUp(t, '', { command: '/no/such/program', ready: () => new Promise(() => undefined) });
  await t.rejects(kept.up(), /worker did not start \(.*ENOENT\)/);
});

t.test('down waits for an orderly end and leaves it down; up brings it back', async (t) => {
  const { kept, dir, said } = setUp(
    t,
    'trap "echo drained > $DIR/out; exit 0" TERM; echo up; while :; do sleep 0.05; done',
  );
  await kept.up();
  await kept.down();
  t.equal(readFileSync(join(dir, 'out'), 'utf8'), 'drained\n');
  t.equal(kept.pid(), undefined);
  await kept.up();
  t.type(kept.pid(), 'number');
  t.same(said, [], 'no restart of its own');
});

t.test('a stop that takes too long ends in SIGKILL, for the whole group', async (t) => {
  const script = 'trap "" TERM; sleep 60 & echo $! > "$DIR/child"; echo up; while :; do wait; done';
  const { kept, dir, said } = setUp(t, script, { graceMs: 100 });
  await kept.up();
  await kept.down();
  t.equal(kept.pid(), undefined);
  t.match(said, ['worker did not stop within 0.1 s; killing it']);
  // The kernel ends a process soon after its signal, not with it.
  const child = Number(readFileSync(join(dir, 'child'), 'utf8'));
  while (processStart(child) !== undefined) await new Promise((wake) => setImmediate(wake));
});

t.test('giving up while it starts leaves nothing running', async (t) => {
  const controller = new AbortController();
  const { kept, dir } = setUp(t, 'echo $$ > "$DIR/pid"; echo up; exec sleep 60', {
    ready: (signal) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
    onLine: () => controller.abort(),
  });
  await t.rejects(kept.up(controller.signal), { name: 'AbortError' });
  t.ok(existsSync(join(dir, 'pid')));
  t.equal(processStart(Number(readFileSync(join(dir, 'pid'), 'utf8'))), undefined);
});
