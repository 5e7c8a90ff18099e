import { fileURLToPath } from 'node:url';
import t from 'tap';
import { groupFiles } from './file-groups.ts';
import { runFiles } from './run-files.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

t.test('each file of a group is a test of its own: what it failed, threw, left out and tore down', async (t) => {
  const dir = t.testdir({
    'a.test.ts': `import t from 'tap';
      globalThis.open = true;
      t.teardown(() => (globalThis.open = false));
      t.test('sum', async (t) => t.equal(1, 2, 'one is two'));
      t.test('later', { skip: 'not yet' }, async () => {});`,
    'b.test.ts': `import t, { test } from 'tap';
      t.equal(globalThis.open, false, 'the file before is torn down');
      test('fine', async (t) => t.ok(true));
      throw new Error('broken');`,
    'c.test.ts': `import t from 'tap';`,
    'd.test.ts': `import t from 'tap'; t.pass('so far'); process.exit(3);`,
    'e.test.ts': `import t from 'tap'; t.pass('never');`,
  });
  const files = ['a', 'b', 'c', 'd', 'e'].map((name) => `${dir}/${name}.test.ts`);
  const told: string[] = [];
  const [group, ...more] = await runFiles([files], {
    cwd: root,
    env: process.env,
    jobs: 2,
    signal: new AbortController().signal,
    onFile: ({ file }) => told.push(file),
  });
  t.same(more, []);
  t.same(told, files);
  const [a, b, c, d, e] = group?.files ?? [];
  t.match(a, { failures: [{ name: `${files[0]} > sum > one is two` }], skips: [{ reason: 'not yet' }] });
  t.match(b, { failures: [{ name: `${files[1]} > broken` }] });
  t.match(c, { failures: [{ detail: 'no tests found' }] });
  t.match(d?.failures[0]?.name, `${files[3]}`, 'it ended in the middle');
  t.match(e, { failures: [{ name: files[4], detail: { exitCode: 1 } }] });
  t.same(
    [a, b, c].map((file) => file?.failures.length),
    [1, 1, 1],
  );
});

t.test('files of one folder share a process, not too many of them; what takes long begins first', async (t) => {
  const many = Array.from({ length: 9 }, (_, i) => `services/gateway/test/${i}.test.ts`);
  const groups = groupFiles(['deploy/local/test/x.test.ts', 'test/e2e/y.test.ts', ...many]);
  t.same(
    groups.map((group) => group.length),
    [5, 4, 1, 1],
  );
  t.same(groups.flat(), [...many, 'test/e2e/y.test.ts', 'deploy/local/test/x.test.ts']);
});
