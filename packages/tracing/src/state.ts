let on = false;

/** Said by telemetry when it has started. */
export function tracingStarted(): void {
  on = true;
}

/** What would cost something on every call is built only where it is. */
export function isTracing(): boolean {
  return on;
}
