import t from 'tap';
import { createFreshCache } from '../src/fresh-cache.ts';

t.test('a burst asks once; age, another version and failures ask again', async (t) => {
  let calls = 0;
  let version = 1;
  let broken = false;
  const load = async (key: string) => {
    calls += 1;
    if (broken) throw new Error('away');
    return `${key}${calls}`;
  };
  const recall = createFreshCache(load, { maxAgeMs: 60_000, maxEntries: 2, version: () => version });
  t.same(await Promise.all([recall('a'), recall('a'), recall('a')]), ['a1', 'a1', 'a1']);
  version = 2;
  t.equal(await recall('a'), 'a2', 'what changed since is read anew');
  await recall('b');
  await recall('c');
  t.equal(calls, 4);
  t.equal(await recall('a'), 'a5', 'only so many are kept');
  broken = true;
  await t.rejects(recall('d'), { message: 'away' });
  broken = false;
  t.equal(await recall('d'), 'd7', 'a failure is not remembered');

  const forgetful = createFreshCache(load, { maxAgeMs: -1, version: () => version });
  t.not(await forgetful('a'), await forgetful('a'));
});
