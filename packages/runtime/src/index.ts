export { loadConfig } from './config.ts';
export { timedCheck, type Check } from './health.ts';
export { createLogger, type Logger } from './logger.ts';
export { createRegistry, type Build } from './metrics.ts';
export { checkMetricsToken, secretsEqual } from './metrics-token.ts';
export { settings } from './settings.ts';
export { onShutdown } from './shutdown.ts';
export { TelemetryConfig } from './telemetry-config.ts';
export { trackUnusedConnections } from './unused-connections.ts';
