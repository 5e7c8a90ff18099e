import { FlowstateError } from '@flowstate/contracts';
import { BrokenCircuitError, circuitBreaker, CircuitState, ConsecutiveBreaker, handleWhen } from 'cockatiel';

export type Circuit = {
  /** Does it, unless the far end is left alone; then throws `unavailable` at once. */
  run<T>(ask: () => Promise<T>): Promise<T>;
  state(): 'closed' | 'open' | 'half_open';
};

export type CircuitOptions = {
  /** What it leads to, for the error (default `The embeddings endpoint`). */
  farEnd?: string;
  /** Failures in a row after which the far end is left alone (default 5). */
  failures?: number;
  /** Milliseconds until one call may try whether it is back (default 10,000). */
  restMs?: number;
};

/** The way to a far end that is left alone after failing again and again: whoever asks knows at once, and it recovers. */
export function createCircuit({
  farEnd = 'The embeddings endpoint',
  failures = 5,
  restMs = 10_000,
}: CircuitOptions = {}): Circuit {
  const breaker = circuitBreaker(handleWhen(failed), {
    halfOpenAfter: restMs,
    breaker: new ConsecutiveBreaker(failures),
  });
  function failed(error: unknown): boolean {
    // Whoever limits our rate is there, and whoever refuses a request too; an answer nobody waited for says nothing, so
    // that a far end which is tried anew is not taken for well by it.
    if (!(error instanceof FlowstateError)) return breaker.state === CircuitState.HalfOpen;
    return ['unavailable', 'timeout'].includes(error.code);
  }
  let restUntil = 0;
  breaker.onBreak(() => (restUntil = performance.now() + restMs));

  return {
    async run(ask) {
      try {
        return await breaker.execute(ask);
      } catch (cause) {
        if (!(cause instanceof BrokenCircuitError)) throw cause;
        const retryAfter = Math.max(1, Math.ceil((restUntil - performance.now()) / 1000));
        const message = `${farEnd} failed again and again and is left alone for a while`;
        throw new FlowstateError('unavailable', message, { cause, retryAfter });
      }
    },
    state() {
      if (breaker.state === CircuitState.Closed) return 'closed';
      return breaker.state === CircuitState.HalfOpen ? 'half_open' : 'open';
    },
  };
}
