import {
  createCheck,
  FlowstateError,
  invalidInput,
  toMicroUsd,
  type FieldError,
  type MicroUsd,
} from '@flowstate/contracts';
import Type from 'typebox';

/** Model → millionths of a dollar for a million input and output tokens. */
export type PriceTable = Readonly<Record<string, readonly [input: MicroUsd, output: MicroUsd]>>;

const usd = Type.Number({ minimum: 0, maximum: 100_000 });
const Prices = Type.Record(
  Type.String({ minLength: 1 }),
  Type.Object({ input: usd, output: Type.Optional(usd) }, { additionalProperties: false }),
);
const checkPrices = createCheck(Prices, { root: 'LLM_PRICES' });

/**
 * The price table of the configuration: `{"gpt-5-mini": {"input": 0.25, "output": 2}}`, US dollars for a million tokens.
 * Throws `invalid_input` naming the field.
 */
export function readPrices({ LLM_PRICES: text }: { LLM_PRICES?: string | undefined }): PriceTable {
  if (text === undefined) return {};
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new FlowstateError('invalid_input', `LLM_PRICES must be JSON: ${(cause as Error).message}`, { cause });
  }
  const errors: FieldError[] = [];
  const micro = (field: string, dollars: number): MicroUsd => {
    const price = toMicroUsd(dollars);
    if (price === null)
      errors.push({ field: `LLM_PRICES.${field}`, message: 'must not be finer than a millionth of a dollar' });
    return price ?? 0;
  };
  const table = Object.entries(checkPrices(json)).map(([model, { input, output = 0 }]) => {
    return [model, [micro(`${model}.input`, input), micro(`${model}.output`, output)]] as const;
  });
  if (errors.length > 0) throw invalidInput(errors);
  return Object.fromEntries(table);
}

/** US dollars for a call; null where the model has no price. */
export function costUsd(
  prices: PriceTable,
  model: string,
  { inputTokens = 0, outputTokens = 0 }: { inputTokens?: number; outputTokens?: number },
): number | null {
  const price = Object.hasOwn(prices, model) ? prices[model] : undefined;
  if (price === undefined) return null;
  // Up, as budgets count it (micro_usd_of in migration 0025).
  return Math.ceil((inputTokens * price[0] + outputTokens * price[1]) / 1e6) / 1e6;
}
