import t from 'tap';
import { readTap } from './tap-results.ts';

const file = 'test/a.test.ts';
const ended = (stdout: string, code: number | null = 0) => ({ stdout, code, stderr: '' });

t.test('failed assertions are named from the outside in, tests that fail with them are not', async (t) => {
  const tap = `TAP version 14
# Subtest: test/a.test.ts
    # Subtest: outer
        # Subtest: inner
            ok 1 - before
            not ok 2 - sum
              ---
              at:
                fileName: test/a.test.ts
                lineNumber: 3
              ...
            not ok 3 - difference
            not ok 4 - later # TODO
            1..4
        not ok 1 - inner # time=3ms
        1..1
    not ok 1 - outer # time=5ms
    ok 2 - fine
    1..2
not ok 1 - test/a.test.ts # time=1500ms
1..1
# { total: 5, pass: 2, fail: 2, todo: 1 }
`;
  const { files, counts } = readTap([file], ended(tap, 1));
  t.match(files, [{ file, seconds: 1.5, skips: [] }]);
  t.match(files[0]?.failures, [
    { name: 'test/a.test.ts > outer > inner > sum', detail: { at: { fileName: 'test/a.test.ts', lineNumber: 3 } } },
    { name: 'test/a.test.ts > outer > inner > difference' },
  ]);
  t.equal(files[0]?.failures.length, 2);
  t.same(counts, { passed: 2, failed: 2, skipped: 0 });
});

t.test('files that were broken off or not come to failed, whatever the ones before had said', async (t) => {
  const whole = `TAP version 14
# Subtest: ${file}
    ok 1 - fine
    1..1
ok 1 - ${file} # time=1ms
`;
  for (const rest of ['', '# Subtest: test/b.test.ts\n    ok 1 - fine\n']) {
    const { files, counts } = readTap([file, 'test/b.test.ts', 'test/c.test.ts'], ended(whole + rest, 3));
    t.match(files, [
      { file, failures: [] },
      { file: 'test/b.test.ts', failures: [{ name: 'test/b.test.ts', detail: { exitCode: 3 } }] },
      { file: 'test/c.test.ts', failures: [{ name: 'test/c.test.ts', detail: { exitCode: 3 } }] },
    ]);
    t.equal(files[0]?.failures.length, 0);
    t.equal(counts.failed, 2);
  }
  const { files, counts } = readTap([file], ended('', null));
  t.match(files, [{ file, failures: [{ name: file }] }]);
  t.equal(counts.failed, 1);
});

t.test('all that passed does not hide how the process ended', async (t) => {
  const tap = `TAP version 14\n# Subtest: ${file}\n    ok 1 - fine\n    1..1\nok 1 - ${file} # time=1ms\n1..1\n`;
  t.same(readTap([file], ended(tap)).files[0]?.failures, []);
  const { files, counts } = readTap([file], { ...ended(tap, 1), stderr: 'still open' });
  t.match(files[0]?.failures, [{ detail: { exitCode: 1 } }, { name: 'stderr', detail: 'still open' }]);
  t.ok(counts.failed > 0);
});

t.test('a file without tests failed', async (t) => {
  const tap = `TAP version 14\n# Subtest: ${file}\n    1..0\nok 1 - ${file} # time=1ms\n1..1\n# { total: 0, pass: 0 }\n`;
  t.match(readTap([file], ended(tap)), {
    files: [{ failures: [{ name: file, detail: 'no tests found' }] }],
    counts: { failed: 1 },
  });
});

t.test('what passed passed', async (t) => {
  const tap = `TAP version 14
# Subtest: ${file}
    ok 1 - fine
    ok 2 - images # SKIP no engine
    1..2
ok 1 - ${file} # time=1ms
1..1
# { total: 2, pass: 1, skip: 1 }
`;
  t.same(readTap([file], ended(tap)), {
    files: [{ file, seconds: 0.001, failures: [], skips: [{ name: `${file} > images`, reason: 'no engine' }] }],
    counts: { passed: 1, failed: 0, skipped: 1 },
  });
});
