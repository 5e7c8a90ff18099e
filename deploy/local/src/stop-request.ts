export type StopRequest = {
  /** Aborted by the first Ctrl-C, SIGTERM or closed terminal. */
  signal: AbortSignal;
  /** Called when asked a second time: whoever waits for a drain gives up on it. */
  onForce: (force: () => void) => void;
};

/** Turns signals, or the end of the process that started this one, into an orderly stop first and a forced one next. */
export function createStopRequest(say: (line: string) => void): StopRequest {
  const controller = new AbortController();
  let force: (() => void) | undefined;
  function request(): void {
    if (controller.signal.aborted) {
      say('Stopping at once');
      force?.();
    } else {
      say('Stopping … (again to force)');
      controller.abort();
    }
  }
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, request);
  process.once('disconnect', () => controller.signal.aborted || request());
  return { signal: controller.signal, onForce: (action) => (force = action) };
}
