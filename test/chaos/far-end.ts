import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import type { Report } from './kind.ts';

/** One execution of a step's function, as seen from outside the system. */
export type Execution = Report & { arrivedAt: number; endedAt: number | null };

export type FarEnd = {
  url: string;
  executions: Execution[];
  /** What each idempotency key did, once, however often it came. */
  keyed: Map<string, { run: string; step: string; value: string }>;
  /** Every effect nobody could recognise as a repetition. */
  unsafe: (Execution & { value: string })[];
  /** What a run's unsafe effect brought about; undefined when it never took place. */
  happened(run: string, step: string): string | undefined;
  /** What the far end said to a step of a piece of work; more than one only where the step itself chose. */
  said(ticket: string, step: string): ReadonlySet<string>;
  /** Resolves once it has read whatever was sent to it before. */
  caughtUp(): Promise<void>;
  /** From now on it no longer refuses this piece of work. */
  repair(ticket: string): void;
  close(): void;
};

/**
 * Stands outside the system and counts what it really did. Recognises a repeated keyed effect by its key, as a payment
 * provider would, and answers it as it did the first time.
 */
export async function startFarEnd(): Promise<FarEnd> {
  const executions: Execution[] = [];
  const keyed: FarEnd['keyed'] = new Map();
  const unsafe: FarEnd['unsafe'] = [];
  const refused = new Map<string, number>();
  const values = new Map<string, Set<string>>();
  const repaired = new Set<string>();
  let effects = 0;

  /** Null when it refuses. */
  function answerTo(execution: Execution): string | null {
    const { run, ticket, step, effect, key, failures, say } = execution;
    const tries = refused.get(`${run} ${step}`) ?? 0;
    if (tries < failures && !repaired.has(ticket)) {
      refused.set(`${run} ${step}`, tries + 1);
      return null;
    }
    const known = effect === 'keyed' ? keyed.get(key) : undefined;
    if (known) return known.value;
    const value = say ?? (effect === 'pure' ? `${ticket}/${step}` : `effect ${++effects}`);
    if (effect === 'keyed') keyed.set(key, { run, step, value });
    if (effect === 'unsafe') unsafe.push({ ...execution, value });
    const said = values.get(`${ticket} ${step}`) ?? new Set();
    values.set(`${ticket} ${step}`, said.add(value));
    return value;
  }

  const server = createServer((request, response) => {
    if (request.method === 'GET') {
      response.end();
      return;
    }
    void (async () => {
      const execution: Execution = {
        ...(JSON.parse(await text(request)) as Report),
        arrivedAt: Date.now(),
        endedAt: null,
      };
      executions.push(execution);
      const value = answerTo(execution);
      if (execution.holdMs > 0) await wait(execution.holdMs);
      execution.endedAt = Date.now();
      response.writeHead(value === null ? 503 : 200).end(value ?? 'not yet');
    })().catch(() => response.destroy()); // its sender was killed while it spoke
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    executions,
    keyed,
    unsafe,
    happened: (run, step) => unsafe.find((effect) => effect.run === run && effect.step === step)?.value,
    said: (ticket, step) => values.get(`${ticket} ${step}`) ?? new Set(),
    async caughtUp() {
      // With the first answer connections from before are accepted, with the second what came over them is read.
      for (let turn = 1; turn <= 2; turn++) await (await fetch(url)).text();
    },
    repair: (ticket) => void repaired.add(ticket),
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
