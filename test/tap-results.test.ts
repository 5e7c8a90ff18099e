import t from 'tap';
import { readTap } from './tap-results.ts';

const tap = `TAP version 14
1..4
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
not ok 1 - test/a.test.ts # time=400ms

# Subtest: test/b.test.ts
    ok 1 - fine
    1..1
ok 2 - test/b.test.ts # time=4ms

# Subtest: test/c.test.ts
    ok 1 - fine
    1..1
not ok 3 - test/c.test.ts # time=4ms
  ---
  exitCode: 7
  ...

# Subtest: test/d.test.ts
    not ok 1 - broken
    1..1
not ok 4 - test/d.test.ts # time=30ms
`;

const { failures, files } = readTap(tap);
t.match(failures, [
  { name: 'test/a.test.ts > outer > inner > sum', detail: { at: { fileName: 'test/a.test.ts', lineNumber: 3 } } },
  { name: 'test/a.test.ts > outer > inner > difference' },
  { name: 'test/c.test.ts', detail: { exitCode: 7 } },
  { name: 'test/d.test.ts > broken' },
]);
t.equal(failures.length, 4);
t.same(files.slice(0, 2), [
  { name: 'test/a.test.ts', seconds: 0.4 },
  { name: 'test/d.test.ts', seconds: 0.03 },
]);
