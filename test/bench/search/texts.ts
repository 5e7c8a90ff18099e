import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'csv-parse/sync';

export type BenchText = { text: string; topic: string; product: string };

const sample = (file: string) =>
  readFileSync(fileURLToPath(new URL(`../../../deploy/sample/${file}`, import.meta.url)), 'utf8');

/**
 * Distinct texts made from the shipped sample: what a customer wrote about, and a sentence of the handbook. The same
 * ones each time, so that their embeddings can be kept.
 */
export function benchTexts(count: number): BenchText[] {
  const sentences = handbookSentences();
  const subjects = interactions().map(({ subject }) => subject);
  if (count > sentences.length * subjects.length) throw new Error(`no ${count} distinct texts can be made`);
  const texts = new Map<string, BenchText>();
  // Two strides without a common divisor with the lengths go through all pairs in no order.
  for (let i = 0; texts.size < count; i++) {
    const { sentence, topic, product } = sentences[(i * 257) % sentences.length] as (typeof sentences)[number];
    const subject = subjects[(i * 101 + Math.floor(i / sentences.length)) % subjects.length] ?? '';
    const text = `${subject}. ${sentence}`;
    texts.set(text, { text, topic, product });
  }
  return [...texts.values()];
}

/** What is asked: customers' own words, of which no text is made. */
export function benchQueries(count: number): string[] {
  return [...new Set(interactions().map(({ text }) => text.slice(0, 200)))].slice(0, count);
}

function handbookSentences(): { sentence: string; topic: string; product: string }[] {
  const segmenter = new Intl.Segmenter('en', { granularity: 'sentence' });
  return sample('documents.ndjson')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { text: string; metadata: { topic: string; product: string } })
    .flatMap(({ text, metadata: { topic, product } }) =>
      Array.from(segmenter.segment(text), ({ segment }) => ({ sentence: segment.trim(), topic, product })),
    );
}

function interactions(): { subject: string; text: string }[] {
  return parse(sample('interactions.csv'), { columns: true });
}
