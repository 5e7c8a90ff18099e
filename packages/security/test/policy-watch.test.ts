import type { Sql } from '@flowstate/store';
import { createTestDatabase } from '@flowstate/test';
import t from 'tap';
import { createPolicyWatch } from '../src/policy-watch.ts';

t.test(
  'a process that stood still does not take an answer it has not read yet for a Postgres that hangs',
  async (t) => {
    const { sql } = await createTestDatabase(t);
    let standStill = false;
    const stood = Promise.withResolvers<boolean>();
    const asked: Sql = new Proxy(sql, {
      apply(target, self, given: Parameters<Sql>) {
        const question: unknown = Reflect.apply(target, self, given);
        if (standStill) {
          standStill = false;
          // By then the question is on its way.
          setImmediate(() =>
            setImmediate(() => {
              // Due after the watch's own, and like that one before what has arrived meanwhile is read.
              setTimeout(() => stood.resolve(watch.hangs()), 2_000);
              Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_500);
            }),
          );
        }
        return question;
      },
    });
    const watch = createPolicyWatch(asked);
    t.teardown(() => watch.close());
    await watch.started;
    standStill = true;
    t.notOk(await stood.promise);
    t.ok(watch.reachable());
  },
);
