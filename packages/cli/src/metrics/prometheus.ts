export type Series = { label: string; points: [at: number, value: number][] };

type Answer = {
  status: string;
  error?: string;
  data?: { result: { metric: Record<string, string>; value?: [number, string]; values?: [number, string][] }[] };
};

/** A Prometheus server's HTTP API. Throws an `Error` in its own words when it refuses. */
export function createPrometheus(base: string, { signal }: { signal: AbortSignal }) {
  async function ask(path: string, query: Record<string, string>): Promise<Series[]> {
    const url = new URL(`${base.replace(/\/$/, '')}/api/v1/${path}?${new URLSearchParams(query).toString()}`);
    const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(30_000)]) });
    const answer = (await response.json()) as Answer;
    if (answer.status !== 'success') throw new Error(`Prometheus: ${answer.error ?? response.status}`);
    return (answer.data?.result ?? []).map(({ metric, value, values = value ? [value] : [] }) => ({
      label: Object.values(metric).join(' ') || 'all',
      points: values.map(([at, text]) => [at * 1_000, Number(text)]),
    }));
  }
  async function targets(): Promise<{ labels: Record<string, string>; scrapeUrl: string; health: string }[]> {
    const url = new URL(`${base.replace(/\/$/, '')}/api/v1/targets?state=active`);
    const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(30_000)]) });
    const answer = (await response.json()) as { data?: { activeTargets: Awaited<ReturnType<typeof targets>> } };
    return answer.data?.activeTargets ?? [];
  }

  return {
    /** What it scrapes, and whether it could. */
    targets,
    /** Values now. */
    query: (query: string) => ask('query', { query }),
    /** Values from `from` to `to`, every `stepSeconds`. */
    range: (query: string, { from, to, stepSeconds }: { from: Date; to: Date; stepSeconds: number }) =>
      ask('query_range', { query, start: from.toISOString(), end: to.toISOString(), step: String(stepSeconds) }),
  };
}
