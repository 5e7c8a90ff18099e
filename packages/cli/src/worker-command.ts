import type { LiveWorker, Problem } from '@flowstate/contracts';
import type { Command } from 'commander';
import { withClient } from './connection.ts';
import { describeProblem, type GatewayClient } from './gateway-client.ts';
import { formatTable } from './table.ts';
import { CommandError, exitCodes, type Terminal } from './terminal.ts';

type Options = { all?: boolean; workers?: string; customer?: string };
type Instance = { name: string; url: string | null };
type Verdict = { instance: Instance; ok: boolean; what: string; seconds: number };

/** A report of a large customer takes a worker a few seconds. */
const patienceMs = 60_000;

/** `flowstate worker list|verify`. */
export function addWorkerCommand(program: Command, terminal: Terminal, done: (code: number) => void): void {
  const worker = program.command('worker').description('worker processes, each by itself');
  const { stdout, signal } = terminal;
  const live = async (client: GatewayClient) =>
    (await client.request<{ items: LiveWorker[] }>('GET', '/api/admin/workers')).items;

  worker
    .command('list')
    .description('those that live')
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: boolean }, self: Command) => {
      await withClient(self, terminal, async (client) => {
        const items = await live(client);
        const rows = items.map((each) => [
          String(each.id),
          each.host,
          String(each.pid),
          each.url ?? '',
          String(each.concurrency),
          each.startedAt,
        ]);
        if (json) stdout.write(`${JSON.stringify(items, null, 2)}\n`);
        else stdout.write(formatTable(['ID', 'HOST', 'PID', 'ADDRESS', 'PLACES', 'SINCE'], rows));
      });
    });

  worker
    .command('verify')
    .description('run customer-insights on each instance itself; exit code 1 when one cannot')
    .option('--all', 'on every worker that lives, at the address it publishes (needs an administrator)')
    .option('--workers <urls>', 'on those at these addresses, with commas between (a service account will do)')
    .option('--customer <id>', 'about whom; by default the customer stored last')
    .action(async (options: Options, self: Command) => {
      if ((options.all === true) === (options.workers !== undefined)) {
        throw new CommandError('worker verify: give --all, or --workers with their addresses', exitCodes.usage);
      }
      await withClient(self, terminal, async (client) => {
        const instances =
          options.workers === undefined
            ? (await live(client)).map(({ id, host, pid, url }) => ({ name: `${id} (${host}:${pid})`, url }))
            : readUrls(options.workers).map((url) => ({ name: url, url }));
        if (instances.length === 0) throw new CommandError('No worker lives.');
        const customerId = options.customer ?? (await lastCustomer(client));
        const token = await client.token();
        const verdicts = await Promise.all(instances.map((instance) => probe(instance, { customerId, token, signal })));
        for (const { instance, ok, what, seconds } of verdicts) {
          const where = instance.url === null || instance.url === instance.name ? '' : ` at ${instance.url}`;
          stdout.write(`${ok ? 'ok' : 'NOT OK'}: worker ${instance.name}${where}: ${what} (${seconds.toFixed(1)} s)\n`);
        }
        if (verdicts.some(({ ok }) => !ok)) done(exitCodes.failed);
      });
    });
}

async function probe(
  instance: Instance,
  { customerId, token, signal }: { customerId: string; token: string; signal: AbortSignal },
): Promise<Verdict> {
  const begun = performance.now();
  const verdict = (ok: boolean, what: string): Verdict => ({
    instance,
    ok,
    what,
    seconds: (performance.now() - begun) / 1000,
  });
  if (instance.url === null) return verdict(false, 'publishes no address');
  try {
    const response = await fetch(new URL('/agents/workflows/customer-insights', instance.url), {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ input: { customerId } }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]),
      redirect: 'error',
    });
    const body = (await response.json().catch(() => ({}))) as Partial<Problem> & { id?: string; state?: string };
    if (!response.ok) return verdict(false, `refused (${response.status}): ${describeProblem(body)}`);
    return verdict(body.state === 'completed', `run ${body.id} ${body.state}`);
  } catch (error) {
    if (signal.aborted) throw error;
    const { message, cause } = error as Error & { cause?: Error };
    return verdict(false, `no answer (${cause?.message || message})`);
  }
}

async function lastCustomer(client: GatewayClient): Promise<string> {
  const { items } = await client.request<{ items: { id: string }[] }>('GET', '/api/customers?limit=1');
  const [customer] = items;
  if (customer !== undefined) return customer.id;
  throw new CommandError('There is no customer to report on: name one with --customer.');
}

function readUrls(text: string): string[] {
  const urls = text.split(',').map((url) => url.trim());
  const wrong = urls.find((url) => !/^https?:$/.test(URL.parse(url)?.protocol ?? ''));
  if (wrong === undefined) return urls;
  throw new CommandError(`--workers must hold addresses with commas between, not "${wrong}"`, exitCodes.usage);
}
