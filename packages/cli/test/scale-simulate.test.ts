import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Outcome } from '@flowstate/scaling';
import { flowstate } from './fixtures/run-cli.ts';

const folder = await mkdtemp(join(tmpdir(), 'flowstate-scale-'));
t.teardown(() => rm(folder, { recursive: true }));
const simulate = (...args: string[]) => flowstate(['scale', 'simulate', ...args]);
const traceOf = async (text: string) => {
  await writeFile(join(folder, 'trace.csv'), text);
  return join(folder, 'trace.csv');
};

t.test('the command of the chapter on scaling writes its table and its picture', async (t) => {
  const chapter = await readFile(new URL('../../scaling/README.md', import.meta.url), 'utf8');
  const [, command = '', table = ''] =
    /```sh\nnpx flowstate (scale simulate [^\n]*)\n```\n+```\n([^`]*)```/.exec(chapter) ?? [];
  const picture = join(folder, 'picture.svg');
  const args = command.replace('deploy/keda/scaling.svg', picture).split(' ');
  const { code, out, err } = await flowstate(args);
  t.equal(code, 0, err);
  t.equal(out, `${table}picture: ${picture}\n`);
  t.equal(
    await readFile(picture, 'utf8'),
    await readFile(new URL('../../../deploy/keda/scaling.svg', import.meta.url), 'utf8'),
  );
});

t.test('a recorded trace is replayed, in seconds', async (t) => {
  const { code, out } = await simulate('--trace', await traceOf('seconds,service\n5,2\n5,2\n90,1\n'), '--json');
  t.equal(code, 0);
  const outcomes = JSON.parse(out) as Outcome[];
  t.match(outcomes, [{ runs: 3 }, { runs: 3, wait: { max: 0 } }, { runs: 3 }]);
  t.ok((outcomes[0]?.wait.max ?? 99) < 21, 'pushed: its start-up');
  t.ok((outcomes[2]?.wait.max ?? 0) > 40, 'polled: half a minute more');
});

t.test('what is wrong is named', async (t) => {
  t.match(await simulate('--trace', '/nonexistent'), { code: 2, err: /^--trace: ENOENT/ });
  t.match(await simulate('--trace', await traceOf('1,2\nsoon,2\n3,0\n')), {
    code: 2,
    err: '--trace, line 2, seconds: must be seconds, not soon\n--trace, line 3, service: must be above 0, not 0\n',
  });
  t.match(await simulate('--trace', await traceOf('1,2\n'), '--burst', '1:1@1'), { code: 2, err: /give one of them/ });
  t.match(await simulate('--burst', '60x120'), { code: 2, err: /rate:seconds@at, as in 60:120@300/ });
  t.match(await simulate('--base', '-1'), { code: 2, err: /--base must be a number of at least 0/ });
  t.match(await simulate('--min', '5', '--max', '2'), { code: 2, err: /--min must not be above --max/ });
  t.match(await simulate('--base', '1e6'), { code: 2, err: /at most 1000000/ });
});
