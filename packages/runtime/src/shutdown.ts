import type { Logger } from 'pino';
import { stopTelemetry } from './telemetry-stop.ts';

type Stage = { name: string; stop: () => unknown };

/**
 * Ordered shutdown: on SIGTERM or SIGINT the stages run one after the other, in the order given, then the process
 * exits 0. A stage that throws is logged and the next one still runs (exit 1). After `deadlineMs` the process exits 1
 * whatever hangs; a second signal does so at once.
 */
export function onShutdown(log: Logger, stages: readonly Stage[], deadlineMs = 25_000): () => Promise<void> {
  let stopping: Promise<void> | undefined;
  let current = '';

  async function stop(): Promise<void> {
    let failed = false;
    for (const stage of stages) {
      current = stage.name;
      try {
        await stage.stop();
      } catch (err) {
        failed = true;
        log.error({ err, stage: stage.name }, 'shutdown stage failed');
      }
    }
    log.info('stopped');
    process.exitCode = failed ? 1 : 0;
  }

  function handle(signal: string): void {
    if (stopping) process.exit(1);
    log.info({ signal }, 'draining');
    setTimeout(() => {
      log.error({ deadlineMs, stage: current }, 'shutdown took too long');
      process.exit(1);
    }, deadlineMs).unref();
    // Whatever keeps the event loop alive after the last stage must not keep the process.
    stopping = stop()
      .then(stopTelemetry)
      .then(() => process.exit());
  }

  process.on('SIGTERM', handle);
  process.on('SIGINT', handle);
  return () => (stopping ??= stop());
}
