import type { FailedTry } from '@flowstate/contracts';

/** Why a run stops running here without having come to its own end. */
export type InterruptReason = 'cancelled' | 'lost' | 'draining' | 'parked' | 'waiting' | 'over';

/** Thrown out of whatever a run awaits; the engine acts on the reason, workflow code cannot swallow it. */
export class RunInterrupt extends Error {
  override readonly name = 'RunInterrupt';
  readonly reason: InterruptReason;

  constructor(reason: InterruptReason) {
    super(`run ${reason}`);
    this.reason = reason;
  }
}

/** A step that used up its tries; `cause` is what its last try threw. */
export class StepError extends Error {
  override readonly name = 'StepError';
  readonly step: string;
  /** All tries, oldest first. */
  readonly tries: FailedTry[];

  constructor(step: string, cause: unknown, tries: FailedTry[]) {
    super(`Step ${step} failed: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.step = step;
    this.tries = tries;
  }
}

/** The workflow's code does not fit what the ledger recorded: it is not deterministic, or was changed under a run. */
export class NonDeterminismError extends Error {
  override readonly name = 'NonDeterminismError';
}
