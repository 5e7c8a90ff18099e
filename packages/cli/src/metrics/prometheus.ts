import { CommandError } from '../terminal.ts';

export type Series = { label: string; points: [at: number, value: number][] };
export type Target = { labels: Record<string, string>; scrapeUrl: string; health: string };

type Found = { result: { metric: Record<string, string>; value?: [number, string]; values?: [number, string][] }[] };
type Answer<T> = { status: string; error?: string; data?: T };

/** A Prometheus server's HTTP API. Throws a `CommandError` in its words when it refuses, or when it is not there. */
export function createPrometheus(base: string, { signal }: { signal: AbortSignal }) {
  async function get<T>(path: string, query: Record<string, string>): Promise<T | undefined> {
    const failed = (why: string) => new CommandError(`PROMETHEUS_URL does not answer: ${why}`);
    const address = `${base.replace(/\/$/, '')}/api/v1/${path}?${new URLSearchParams(query).toString()}`;
    if (!URL.canParse(address)) throw failed(`"${base}" is no address`);
    let answer: Answer<T>;
    try {
      const response = await fetch(address, { signal: AbortSignal.any([signal, AbortSignal.timeout(30_000)]) });
      const text = await response.text();
      // What stands before it, a proxy that wants a login say, answers with a page.
      if (!text.startsWith('{')) throw new Error(`status ${response.status}, and no JSON`);
      answer = JSON.parse(text) as Answer<T>;
    } catch (error) {
      if (signal.aborted) throw error;
      const { message, cause } = error as Error & { cause?: Error };
      throw failed(cause?.message || message);
    }
    if (answer.status !== 'success') throw failed(`Prometheus: ${answer.error ?? answer.status}`);
    return answer.data;
  }

  async function ask(path: string, query: Record<string, string>): Promise<Series[]> {
    const found = await get<Found>(path, query);
    return (found?.result ?? []).map(({ metric, value, values = value ? [value] : [] }) => ({
      label: Object.values(metric).join(' ') || 'all',
      points: values.map(([at, text]) => [at * 1_000, Number(text)]),
    }));
  }

  return {
    /** What it scrapes, and whether it could. */
    targets: async () => (await get<{ activeTargets: Target[] }>('targets', { state: 'active' }))?.activeTargets ?? [],
    /** Values now. */
    query: (query: string) => ask('query', { query }),
    /** Values from `from` to `to`, every `stepSeconds`. */
    range: (query: string, { from, to, stepSeconds }: { from: Date; to: Date; stepSeconds: number }) =>
      ask('query_range', { query, start: from.toISOString(), end: to.toISOString(), step: String(stepSeconds) }),
  };
}
