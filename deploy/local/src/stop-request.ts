export type StopRequest = {
  /** Aborted by the first Ctrl-C, SIGTERM or closed terminal. */
  signal: AbortSignal;
  /** Called when asked a second time: whoever waits for a drain gives up on it. */
  onForce: (force: () => void) => void;
};

/** npm passes a Ctrl-C on that the terminal has sent us already: what comes this soon is the same one. */
const sameRequestMs = 1_000;

/** Turns signals into an orderly stop first and a forced one if asked again. */
export function createStopRequest(say: (line: string) => void): StopRequest {
  const controller = new AbortController();
  let force: (() => void) | undefined;
  let firstAt = 0;
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (!controller.signal.aborted) {
        firstAt = Date.now();
        say('Stopping … (again to force)');
        controller.abort();
      } else if (Date.now() - firstAt > sameRequestMs) {
        say('Stopping at once');
        force?.();
      }
    });
  }
  return { signal: controller.signal, onForce: (action) => (force = action) };
}
