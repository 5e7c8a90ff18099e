import { gatewayUrl, setting, type ConnectionOptions } from '../connection.ts';
import { CommandError, exitCodes, type Terminal } from '../terminal.ts';
import { readSamples, type Sample } from './samples.ts';

/** What one process said of itself at one moment. */
export type Reading = { url: string; service: string; at: string; samples: Sample[]; text: string };
export type Unread = { url: string; why: string };

/**
 * Where metrics are read: `METRICS_URLS` (with commas between), or the gateway's and, on the same host, the worker's and
 * the controller's usual ones (`WORKER_URL`, `CONTROLLER_URL`).
 */
export async function metricsUrls(options: ConnectionOptions, terminal: Terminal): Promise<string[]> {
  const given = terminal.env.METRICS_URLS?.split(',').map((url) => url.trim());
  if (given !== undefined) {
    const wrong = given.find((url) => !URL.canParse(url));
    if (wrong === undefined) return given;
    throw new CommandError(`METRICS_URLS must hold addresses with commas between, not "${wrong}"`, exitCodes.usage);
  }
  const gateway = await gatewayUrl(options, terminal);
  const beside = (port: number) => `${gateway.protocol}//${gateway.hostname}:${port}`;
  const worker = (await setting(terminal, 'WORKER_URL')) ?? beside(8000);
  const controller = (await setting(terminal, 'CONTROLLER_URL')) ?? beside(8090);
  return [new URL('/api/metrics', gateway), new URL('/metrics', worker), new URL('/metrics', controller)].map(
    ({ href }) => href,
  );
}

/** Reads each once; one that does not answer is said, not thrown. */
export async function readMetrics(
  urls: string[],
  { token, signal }: { token: string | undefined; signal: AbortSignal },
): Promise<{ readings: Reading[]; unread: Unread[] }> {
  const answers = await Promise.all(urls.map((url) => readOne(url, token, signal)));
  return {
    readings: answers.filter((answer) => 'samples' in answer),
    unread: answers.filter((answer) => 'why' in answer),
  };
}

async function readOne(url: string, token: string | undefined, signal: AbortSignal): Promise<Reading | Unread> {
  try {
    const response = await fetch(url, {
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]),
    });
    const text = await response.text();
    if (response.status === 401) {
      return { url, why: token === undefined ? 'it needs METRICS_TOKEN' : 'it refuses this METRICS_TOKEN' };
    }
    if (!response.ok) return { url, why: `status ${response.status}` };
    const samples = readSamples(text);
    const service = samples.find(({ name }) => name === 'flowstate_build_info')?.labels.service ?? 'unknown';
    return { url, service, at: new Date().toISOString(), samples, text };
  } catch (error) {
    if (signal.aborted) throw error;
    const { message, cause } = error as Error & { cause?: Error };
    return { url, why: `no answer (${cause?.message || message})` };
  }
}
