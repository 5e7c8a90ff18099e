import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { restartOnChange } from '../src/reload.ts';

t.setTimeout(20_000);

t.test('a change restarts, many at once do it once, and a restart that fails leaves it watching', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'flowstate-reload-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const stop = new AbortController();
  const said: string[] = [];
  const restarts: { resolve: () => void; reject: (error: Error) => void }[] = [];
  let underWay = 0;
  let most = 0;
  let wake = Promise.withResolvers<void>();
  const watching = restartOnChange({
    paths: [folder],
    signal: stop.signal,
    log: (line) => said.push(line),
    async restart() {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      restarts.push({ resolve, reject });
      most = Math.max(most, ++underWay);
      wake.resolve();
      await promise.finally(() => (underWay -= 1));
    },
  });
  const next = async () => {
    await wake.promise;
    wake = Promise.withResolvers();
    return restarts.at(-1);
  };

  await Promise.all(['a.ts', 'b.ts', 'c.ts'].map((file) => writeFile(join(folder, file), '1')));
  const first = await next();
  t.equal(restarts.length, 1);
  first?.reject(new Error('a.ts: Unexpected token'));

  await writeFile(join(folder, 'a.ts'), '2');
  const second = await next();
  t.same(said, ['a.ts: Unexpected token']);
  await writeFile(join(folder, 'b.ts'), 'while it restarts');
  second?.resolve();
  (await next())?.resolve();
  t.equal(most, 1, 'one at a time');
  stop.abort();
  await watching;
});
