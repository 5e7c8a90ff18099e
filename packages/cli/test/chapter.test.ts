import { readFile } from 'node:fs/promises';
import t from 'tap';
import { flowstate } from './fixtures/run-cli.ts';

t.test('the chapter on the command line has every command, and no other', async (t) => {
  const { out } = await flowstate(['--help']);
  const list = out.split(/^Commands:\n/m)[1] ?? '';
  const commands = [...list.matchAll(/^ {2}([a-z][a-z-]*)/gm)].map(([, name]) => name as string);
  t.ok(commands.length > 25);
  const chapter = await readFile(new URL('../README.md', import.meta.url), 'utf8');
  const table = chapter.split('| command |')[1]?.split('\n\n')[0] ?? '';
  const cells = table.split('\n').flatMap((row) => row.split(' | ')[0] ?? []);
  const named = cells.flatMap((cell) => [...cell.matchAll(/`([a-z-]+)`/g)].map(([, name]) => name as string));
  t.same(named.toSorted(), commands.filter((name) => name !== 'help').toSorted());
});
