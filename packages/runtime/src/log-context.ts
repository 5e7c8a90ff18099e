import { AsyncLocalStorage } from 'node:async_hooks';

/** What every line says that is logged while a request is answered, or a run is worked on. */
export type LogContext = { requestId?: string; runId?: string; principal?: string };

const current = new AsyncLocalStorage<LogContext>();

/** Does work whose log lines carry these fields, and those that are added to them meanwhile. */
export function withLogContext<T>(fields: LogContext, work: () => T): T {
  return current.run(fields, work);
}

/** The fields of whatever is being done; undefined outside requests and runs. */
export function logContext(): LogContext | undefined {
  return current.getStore();
}
