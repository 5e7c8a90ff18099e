/** Something to reach, and what was measured of it. */
export type Target = { title: string; measured: number | null; bound: string; met: boolean | null };

export function atLeast(title: string, measured: number | null | undefined, bound: number): Target {
  return { title, measured: measured ?? null, bound: `≥ ${bound}`, met: isFigure(measured) ? measured >= bound : null };
}

export function atMost(title: string, measured: number | null | undefined, bound: number): Target {
  return { title, measured: measured ?? null, bound: `≤ ${bound}`, met: isFigure(measured) ? measured <= bound : null };
}

function isFigure(value: number | null | undefined): value is number {
  return typeof value === 'number' && !Number.isNaN(value);
}
