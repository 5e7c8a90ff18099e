import type { InterruptReason } from './interrupt.ts';
import type { Journal } from './journal.ts';
import type { LedgerPort } from './ledger-port.ts';
import { shortMs, type Waits } from './waits.ts';

type Options = {
  runId: string;
  journal: Journal;
  waits: Waits;
  ledger: Pick<LedgerPort, 'suspend' | 'readInbox' | 'now'>;
  /** When the run's own time is up, in milliseconds of Postgres time. */
  deadline: number | null;
  interrupt: (reason: InterruptReason) => Error;
};

export type Suspender = {
  /** Puts the run to sleep if all it does is wait. */
  (): Promise<void>;
  /** The inbox' counter stands at `inbox` now: reads what is new. */
  news(inbox: number): Promise<void>;
};

/**
 * Leaves the worker free while a run waits. From the last look at what it waits for to the ledger's answer nothing may
 * go on here, or a step would begin in a run that is no longer ours.
 */
export function createSuspender({ runId, journal, waits, ledger, deadline, interrupt }: Options): Suspender {
  let trying = false;
  let known = 0;

  async function read(): Promise<void> {
    const inbox = await ledger.readInbox(runId);
    known = inbox.seen;
    if (inbox.cancelled) interrupt('cancelled');
    else waits.receive(inbox);
  }

  async function suspend(): Promise<void> {
    const soonOver = deadline !== null && deadline - ledger.now() < shortMs;
    if (trying || soonOver) return;
    // One look: a moment later a wait may be too short to leave for, and the run would sleep with nothing to wake it.
    const sleeping = waits.sleeping();
    if (sleeping === null) return;
    trying = true;
    waits.hold(true);
    try {
      const { names, until, inbox } = sleeping;
      const wakeAt = until === null ? deadline : Math.min(until, deadline ?? until);
      const data = { for: names, until: wakeAt === null ? null : new Date(wakeAt).toISOString() };
      const answer = await journal.release('run.waiting', data, (release) =>
        ledger.suspend({ ...release, inbox, wakeAt }),
      );
      if (answer === 'released') interrupt('waiting');
      else if (answer === 'lost') interrupt('lost');
      else await read();
    } finally {
      trying = false;
      waits.hold(false);
    }
  }

  return Object.assign(suspend, {
    async news(inbox: number) {
      if (inbox > known) await read();
    },
  });
}
