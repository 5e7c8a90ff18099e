import t from 'tap';
import { createRecentLines } from '../src/import/recent-lines.ts';

t.test('a key is known by its first line for as many lines as are remembered, and forgotten in the end', async (t) => {
  const { note } = createRecentLines(3);
  t.equal(note('a', 1), undefined);
  t.equal(note('a', 2), 1);
  t.equal(note('b', 3), undefined);
  t.equal(note('c', 4), undefined);
  t.equal(note('d', 5), undefined);
  t.equal(note('a', 6), 1, 'of the older generation by now');
  for (const [i, key] of ['e', 'f', 'g'].entries()) note(key, 7 + i);
  t.equal(note('a', 10), undefined);
});
