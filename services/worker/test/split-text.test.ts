import t from 'tap';
import { splitText } from '../src/split-text.ts';

/** The part a text has at a place, counted as Postgres does. */
const at = (text: string, begin: number, length: number) =>
  Array.from(text)
    .slice(begin, begin + length)
    .join('');

t.test('a short text is one part, an empty one none', async (t) => {
  t.same(splitText('Refunds take five days. Cards too.'), [
    { begin: 0, length: 34, text: 'Refunds take five days. Cards too.' },
  ]);
  t.same(splitText(''), []);
});

t.test('a long text is cut between sentences, and each part begins with the end of the one before', async (t) => {
  const sentences = Array.from({ length: 60 }, (_, i) => `Sentence number ${i} says something about the topic ${i}. `);
  const text = sentences.join('');
  const parts = splitText(text);
  t.ok(parts.length > 3, `${parts.length} parts`);
  for (const [i, part] of parts.entries()) {
    t.equal(at(text, part.begin, part.length), part.text);
    t.match(part.text, /^Sentence number \d+ says .*\. $/s);
    const next = parts[i + 1];
    if (next === undefined) continue;
    t.ok(next.begin < part.begin + part.length, 'overlap');
    t.ok(next.begin > part.begin, 'progress');
  }
  const last = parts.at(-1);
  t.equal((last?.begin ?? 0) + (last?.length ?? 0), text.length, 'nothing is left out');
});

t.test('one endless sentence, one endless word and other scripts are cut too, whole characters each', async (t) => {
  for (const text of ['word '.repeat(2_000), 'x'.repeat(5_000), '漢字'.repeat(1_000), '\u{1f600}'.repeat(1_000)]) {
    const parts = splitText(text);
    t.ok(parts.length > 3, `${parts.length} parts`);
    let end = 0;
    for (const part of parts) {
      t.equal(at(text, part.begin, part.length), part.text);
      t.ok(part.begin <= end && part.begin + part.length > end, 'no gap, and progress');
      t.ok(part.text.isWellFormed());
      end = part.begin + part.length;
    }
    t.equal(end, Array.from(text).length);
  }
});
