import t from 'tap';
import { readTap } from './tap-results.ts';

t.test('failed assertions are named from the outside in, tests that fail with them are not', async (t) => {
  const tap = `TAP version 14
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
# { total: 5, pass: 2, fail: 2, todo: 1 }
`;
  const { failures, counts } = readTap('test/a.test.ts', tap);
  t.match(failures, [
    { name: 'test/a.test.ts > outer > inner > sum', detail: { at: { fileName: 'test/a.test.ts', lineNumber: 3 } } },
    { name: 'test/a.test.ts > outer > inner > difference' },
  ]);
  t.equal(failures.length, 2);
  t.same(counts, { passed: 2, failed: 2, skipped: 0 });
});

t.test('a file that broke off failed, whatever it had said by then', async (t) => {
  for (const tap of ['', 'TAP version 14\nok 1 - fine\n', 'TAP version 14\n1..2\nok 1 - fine\n']) {
    const { failures, counts } = readTap('test/b.test.ts', tap);
    t.match(failures, [{ name: 'test/b.test.ts' }], JSON.stringify(tap));
    t.equal(counts.failed, 1);
  }
});

t.test('what passed passed', async (t) => {
  const tap = 'TAP version 14\nok 1 - fine\nok 2 - images # SKIP no engine\n1..2\n# { total: 2, pass: 1, skip: 1 }\n';
  t.same(readTap('test/c.test.ts', tap), {
    failures: [],
    skips: [{ name: 'test/c.test.ts > images', reason: 'no engine' }],
    counts: { passed: 1, failed: 0, skipped: 1 },
  });
});
