import t from 'tap';
import { queryVector, toVector } from '../src/documents/vector-text.ts';

const numbersOf = (text: string) => JSON.parse(text.replaceAll(/(?<=[[,-])\./g, '0.')) as number[];
const unit = (values: number[]) => Float32Array.from(values, (x) => x / Math.hypot(...values));

t.test('a query is written to nine decimals', async (t) => {
  t.equal(
    queryVector([0.5, -0.25, 1, -1, 0, -0, 1e-9, 0.123456789]),
    '[.500000000,-.250000000,1.000000000,-1.000000000,.000000000,.000000000,.000000001,.123456789]',
  );
  for (const dimensions of [1, 384, 4_000]) {
    const vector = unit(Array.from({ length: dimensions }, (_, i) => Math.sin(i + 1)));
    const written = numbersOf(queryVector(vector));
    t.equal(written.length, dimensions);
    t.ok(written.every((value, i) => Math.abs(value - (vector[i] ?? Infinity)) <= 5.1e-10));
  }
});

t.test('what nine decimals would not do justice to is written as it is', async (t) => {
  for (const vector of [[2, 0.5], [1e-5, -3e-6], [Number.NaN], [Infinity, 0], [0, 0], []]) {
    t.equal(queryVector(vector), toVector(vector), String(vector));
  }
  t.equal(toVector(Float32Array.of(0.5, -2)), '[0.5,-2]');
});
