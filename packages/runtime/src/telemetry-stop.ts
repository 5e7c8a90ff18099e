let stop: () => Promise<void> = async () => {};

/** Set by telemetry when it is on: sends what is still buffered. */
export function onTelemetryStop(flush: () => Promise<void>): void {
  stop = flush;
}

/** The last thing a process does; a collector that hangs gets one second. */
export async function stopTelemetry(): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, 1_000);
  await Promise.race([stop().catch(() => {}), late]);
  clearTimeout(timer);
}
