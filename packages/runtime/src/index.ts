export { loadConfig } from './config.ts';
export { createLogger, type Logger } from './logger.ts';
export { settings } from './settings.ts';
export { onShutdown } from './shutdown.ts';
