import { gatewayUrl, type ConnectionOptions } from '../connection.ts';
import { formatTable } from '../table.ts';
import { CommandError, type Terminal } from '../terminal.ts';
import type { Verdict } from './verdict.ts';

type Answer = {
  status?: string;
  version?: string;
  checks?: { name: string; ok: boolean; latencyMs: number; detail?: string }[];
};

/** `/api/health` or `/api/ready` of the gateway, with what each dependency says. */
export async function checkHealth(
  what: 'health' | 'ready',
  options: ConnectionOptions,
  terminal: Terminal,
): Promise<Verdict> {
  const url = new URL(`/api/${what}`, await gatewayUrl(options, terminal));
  const response = await answerOf(url, terminal);
  const answer = (await response.json().catch(() => ({}))) as Answer;
  const { status = 'no status', version, checks = [] } = answer;
  // Degraded: Redis is away, everything accepted is kept. In an incident that is news.
  const ok = response.ok && ['ok', 'ready'].includes(status);
  const rows = checks.map(({ name, ok, latencyMs, detail = '' }) => [
    name,
    ok ? 'ok' : 'FAILED',
    `${latencyMs} ms`,
    detail,
  ]);
  return {
    ok,
    summary: `${url.href} answers ${response.status} ${status}${version === undefined ? '' : `, version ${version}`}`,
    evidence: rows.length === 0 ? '' : formatTable(['DEPENDENCY', 'STATE', 'TOOK', ''], rows),
  };
}

async function answerOf(url: URL, { signal }: Terminal): Promise<Response> {
  try {
    return await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]) });
  } catch (error) {
    if (signal.aborted) throw error;
    const { message, cause } = error as Error & { cause?: Error };
    throw new CommandError(`No answer from ${url.href} (${cause?.message || message})`);
  }
}
