/** Money is kept in whole millionths of a US dollar: sums of fractions would drift. */
export type MicroUsd = number;

/** Dollars of a request as millionths; null when it is finer than that. */
export function toMicroUsd(usd: number): MicroUsd | null {
  const micro = Math.round(usd * 1e6);
  // As it was written: 0.1 + 0.2 dollars are no 300,000 millionths, and nobody writes them.
  return Number.isSafeInteger(micro) && micro / 1e6 === usd ? micro : null;
}

/** Millionths as the dollars that answers show. */
export function toUsd(micro: MicroUsd): number {
  return micro / 1e6;
}
