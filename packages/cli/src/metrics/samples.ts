export type Sample = { name: string; labels: Record<string, string>; value: number };

const line = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?$/;
const label = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;
const escapes: Record<string, string> = { n: '\n', '"': '"', '\\': '\\' };

/** The samples of an exposition in Prometheus' text format 0.0.4; comments are left out. */
export function readSamples(text: string): Sample[] {
  return text.split('\n').flatMap((row) => {
    const [, name, labels = '', value = ''] = line.exec(row.trim()) ?? [];
    if (name === undefined) return [];
    const pairs = labels
      .matchAll(label)
      .map(([, key = '', raw = '']) => [key, raw.replace(/\\(.)/g, (_, c: string) => escapes[c] ?? c)] as const);
    return [{ name, labels: Object.fromEntries(pairs), value: numberOf(value) }];
  });
}

function numberOf(text: string): number {
  return /^[+-]?Inf$/.test(text) ? (text.startsWith('-') ? -Infinity : Infinity) : Number(text);
}

/** Sums of a metric's samples that match, by the value of one label (`''` where they do not have it). */
export function sumBy(
  samples: Sample[],
  name: string,
  by: string,
  where: Record<string, string> = {},
): Map<string, number> {
  const sums = new Map<string, number>();
  for (const sample of samples) {
    if (sample.name !== name) continue;
    if (Object.entries(where).some(([key, value]) => sample.labels[key] !== value)) continue;
    const group = sample.labels[by] ?? '';
    sums.set(group, (sums.get(group) ?? 0) + sample.value);
  }
  return sums;
}

/** How much a counter grew between two readings, by group; after a restart it counts from nothing. */
export function growth(before: Map<string, number>, after: Map<string, number>): Map<string, number> {
  const grown = [...after].map(([group, value]) => {
    const old = before.get(group) ?? 0;
    return [group, value >= old ? value - old : value] as const;
  });
  return new Map(grown.filter(([, value]) => value > 0));
}
