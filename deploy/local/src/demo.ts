import { isTerminal, type Run, type RunEvent } from '@flowstate/contracts';
import type { Api } from './api.ts';
import { readableMarkdown } from './markdown.ts';

type Options = { print: (text: string) => void; colour: boolean; signal: AbortSignal };

/**
 * What Flowstate is for, done as a client would: starts a `customer-insights` run, shows its steps as they finish and
 * prints the report. Resolves to whether the run completed.
 */
export async function showInsight(
  api: Api,
  customerId: string | undefined,
  { print, colour, signal }: Options,
): Promise<boolean> {
  if (customerId === undefined) {
    print('\nThere is no customer to report on yet: import some (npx flowstate import --help).\n');
    return true;
  }
  print(`\nPOST /api/workflows/customer-insights/runs ${JSON.stringify({ input: { customerId } })}`);
  const { id } = await api.request<Run>('POST', '/api/workflows/customer-insights/runs', {
    json: { input: { customerId } },
  });
  print(`Run ${id}`);
  await follow(api, id, { print, signal });
  const run = await api.request<Run>('GET', `/api/runs/${id}`);
  if (run.state !== 'completed') {
    print(`The run ended ${run.state}: ${run.error?.message ?? 'no reason given'}`);
    return false;
  }
  print(`\n${readableMarkdown(reportOf(run.output), colour)}\n`);
  return true;
}

/** The sample's first story, or any customer where other data was loaded; undefined where there is none. */
export async function customerToShow(api: Api): Promise<string | undefined> {
  const sample = 'C-0001';
  const known = await api.request('GET', `/api/customers/${sample}`).then(
    () => true,
    () => false,
  );
  if (known) return sample;
  const { items } = await api.request<{ items: { externalId: string }[] }>('GET', '/api/customers?limit=1');
  return items[0]?.externalId;
}

/** Prints a run's events until it is over; a broken stream is taken up where it was. */
async function follow(api: Api, id: string, { print, signal }: Pick<Options, 'print' | 'signal'>): Promise<void> {
  let lastId: string | undefined;
  let begin: number | undefined;
  const startedAt = new Map<string, number>();
  for (;;) {
    for await (const event of api.events(`/api/runs/${id}/events`, lastId)) {
      lastId = event.id ?? lastId;
      const { type, at, data } = JSON.parse(event.data) as RunEvent;
      const time = Date.parse(at);
      begin ??= time;
      // Progress tells what came with it; recorded events carry what a step is called.
      const name = typeof data['name'] === 'string' ? data['name'] : '';
      if (type === 'value.recorded') continue;
      if (event.event === 'step.started') startedAt.set(name, time);
      const since = event.event === 'step.started' ? undefined : startedAt.get(name);
      const took = since === undefined ? '' : ` (${time - since} ms)`;
      print(`  ${`+${time - begin}`.padStart(6)} ms  ${type.padEnd(15)} ${name}${took}`.trimEnd());
    }
    signal.throwIfAborted();
    if (isTerminal((await api.request<Run>('GET', `/api/runs/${id}`)).state)) return;
  }
}

function reportOf(output: unknown): string {
  const markdown = (output as { briefing?: { markdown?: unknown } } | null)?.briefing?.markdown;
  return typeof markdown === 'string' ? markdown : JSON.stringify(output, null, 2);
}
