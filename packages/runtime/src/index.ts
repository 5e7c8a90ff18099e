export { measureCircuit } from './circuit-metric.ts';
export { loadConfig } from './config.ts';
export { timedCheck, type Check } from './health.ts';
export { withLogContext, type LogContext } from './log-context.ts';
export { measureInstance } from './instance-metric.ts';
export { followLogLevel } from './log-level.ts';
export { messageOf, readableLine, type LineStyle } from './log-lines.ts';
export { createLogSinks, type LogSinks } from './log-sinks/log-sinks.ts';
export { logSinkSettings } from './log-sinks/settings.ts';
export { measureLogSinks } from './log-sinks/sink-metrics.ts';
export { createAuditLog, createLogger, type Logger } from './logger.ts';
export { createBoundedLabel } from './bounded-label.ts';
export { createRegistry, startAtZero, type Build } from './metrics.ts';
export { bearerToken, checkMetricsToken, secretsEqual } from './metrics-token.ts';
export { answerOf, noSuchPath, problemErrors, sendProblem, toFlowstateError } from './problem.ts';
export { secretWeakness } from './secret-strength.ts';
export { settings } from './settings.ts';
export { onShutdown } from './shutdown.ts';
export { TelemetryConfig } from './telemetry-config.ts';
export { trackUnusedConnections } from './unused-connections.ts';
export type { Resolve } from './webhooks/guarded-lookup.ts';
export {
  incidentNotices,
  incidentTask,
  sendIncidentMessages,
  type IncidentMessage,
} from './webhooks/incident-messages.ts';
export { createWebhookSender, type WebhookAnswer, type WebhookSender } from './webhooks/sender.ts';
export { webhookKey } from './webhook-key.ts';
