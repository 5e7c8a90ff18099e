import t from 'tap';
import { costUsd, readPrices } from '../src/index.ts';

const read = (table: unknown) => readPrices({ LLM_PRICES: JSON.stringify(table) });

t.test('prices are dollars for a million tokens, kept in whole millionths', async (t) => {
  const prices = read({ 'gpt-5-mini': { input: 0.25, output: 2 }, embedder: { input: 0.02 } });
  t.same(prices, { 'gpt-5-mini': [250_000, 2_000_000], embedder: [20_000, 0] });
  t.equal(costUsd(prices, 'gpt-5-mini', { inputTokens: 1_000, outputTokens: 100 }), 0.00045);
  t.equal(costUsd(prices, 'embedder', { inputTokens: 1 }), 0.000001, 'never said too low');
  t.equal(costUsd(prices, 'toString', { inputTokens: 1 }), null, 'no price is not a price of nothing');
  t.same(readPrices({}), {});
});

t.test('a wrong table names the field', async (t) => {
  for (const [table, said] of [
    [{ m: { input: -1 } }, /LLM_PRICES\.m\.input/],
    [{ m: { output: 1 } }, /LLM_PRICES\.m\.input is required/],
    [{ m: { input: 1, cached: 1 } }, /LLM_PRICES\.m\.cached/],
    [{ m: { input: 0.000_000_5 } }, /LLM_PRICES\.m\.input must not be finer/],
    [{ m: 1 }, /LLM_PRICES\.m must be/],
    [[], /LLM_PRICES must be/],
  ] as const) {
    t.throws(() => read(table), { code: 'invalid_input', message: said }, JSON.stringify(table));
  }
  t.throws(() => readPrices({ LLM_PRICES: '{' }), { code: 'invalid_input', message: /LLM_PRICES must be JSON/ });
});
