import type { Client } from './clients.ts';
import type { FarEnd } from './far-end.ts';

/** Whoever settles parked runs. */
export type Person = {
  /** Says whether the step's effect took place; an empty name: the run outlived its workers, and may go on. */
  settle(runId: string, step: string): Promise<void>;
  settled: { happened: number; notHappened: number; wentOn: number };
};

type Options = {
  client: Client;
  farEnd: FarEnd;
  workerUrls: readonly string[];
};

/** Asks the far end what became of an effect in doubt, as a person would, once nothing of it can be on its way. */
export function createPerson({ client, farEnd, workerUrls }: Options): Person {
  const settled = { happened: 0, notHappened: 0, wentOn: 0 };

  async function isParked(runId: string): Promise<boolean> {
    const { body } = await client.call<{ state: string }>('GET', `/api/runs/${runId}`);
    return body.state === 'parked';
  }

  return {
    settled,
    async settle(runId, step) {
      // An answer that was lost may have been a yes: then it is parked no longer, or for another reason.
      while (await isParked(runId)) {
        await Promise.all(workerUrls.map(hasMoved));
        await farEnd.caughtUp();
        const output = step === '' ? undefined : farEnd.happened(runId, step);
        const body = output === undefined ? { outcome: 'not-happened' } : { outcome: 'happened', output };
        const answer = await client.once('POST', `/api/runs/${runId}/resolve`, { body });
        if (answer?.status !== 202) continue;
        settled[step === '' ? 'wentOn' : output === undefined ? 'notHappened' : 'happened'] += 1;
        return;
      }
    },
  };
}

/** What a worker was about to send, however long it stood still, is sent once it answers; or died with it. */
async function hasMoved(url: string): Promise<void> {
  // The first answer may have been on its way before, and what was decided then takes a turn to be sent.
  for (let turn = 1; turn <= 2; turn++) {
    await fetch(new URL('/health', url)).then(
      (answer) => answer.text(),
      () => {},
    );
  }
}
