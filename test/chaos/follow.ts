import { setTimeout as wait } from 'node:timers/promises';
import { politeMs, type Client } from './clients.ts';
import type { FarEnd } from './far-end.ts';
import type { Findings } from './findings.ts';
import type { Person } from './person.ts';
import type { Random } from '../support/random.ts';
import { isTerminal, type RunRecord } from './run-record.ts';

/** Who and what a followed run has to do with. */
export type Following = {
  client: Client;
  person: Person;
  farEnd: FarEnd;
  findings: Findings;
  random: Random;
  signal: AbortSignal;
};

/**
 * Follows a run to its end over whichever gateway is there, resuming after the last event seen; does what its client
 * does on the way, and has it settled when it is parked. Resolves when it has ended for good.
 */
export async function followRun(run: RunRecord & { id: string }, options: Following): Promise<void> {
  const { client, person, farEnd, findings, random, signal } = options;
  const hand = { id: run.id, run, client, farEnd };
  for (let failures = 0; ; failures++) {
    let ended = false;
    try {
      for await (const { id, event: type = '', data } of client.events(run.id, run.events.length, signal)) {
        if (id === undefined) continue; // progress is live only
        const seq = Number(id);
        // Nobody waits for a claim to be on disk: a Postgres that crashes may forget a start that was seen already.
        if (seq === run.events.length && type === 'run.started' && run.events.at(-1)?.type === type) run.events.pop();
        if (seq !== run.events.length + 1) {
          findings.add(`its event stream went from ${run.events.length} to ${seq} (${type})`, run.id);
          return;
        }
        failures = 0;
        const event = { seq, type, data: data.data as Record<string, unknown>, seenAt: Date.now() };
        run.events.push(event);
        const next = await run.kind.onEvent?.(event, hand);
        ended = isTerminal(event) && next !== 'go-on';
        if (type === 'run.parked') await person.settle(run.id, String(event.data.step));
      }
    } catch (error) {
      signal.throwIfAborted();
      const refused = /events answered (\d+)/.exec((error as Error).message)?.[1];
      if (refused !== undefined && !['429', '503'].includes(refused)) {
        findings.add(`its event stream was refused with ${refused}`, run.id);
        return;
      }
    }
    if (ended) {
      run.state = 'ended';
      return;
    }
    await wait(politeMs(failures, random), undefined, { signal });
  }
}
