// Loaded before a service by `node --import`; does nothing, and loads nothing, unless OTEL_ENABLED is `true`. Whatever is
// wrong with it is said in the service's log, and the service starts all the same.
import { loadConfig } from './config.ts';
import { TelemetryConfig } from './telemetry-config.ts';
import { telemetryFault } from './telemetry-fault.ts';

try {
  const config = loadConfig(TelemetryConfig, process.env);
  if (config.OTEL_ENABLED) (await import('./start-telemetry.ts')).startTelemetry(config);
} catch (error) {
  telemetryFault((error as Error).message);
}
