export { startCable, type Cable } from './cable.ts';
export { createClient, type Answer, type Client } from './client.ts';
export { createTestDatabase, type TestDatabase } from './database.ts';
export { requiredEnv } from './environment.ts';
export { startPlatform, type Platform } from './platform.ts';
export { createTestRedis, type TestRedis } from './redis.ts';
export { startService, type LogLine, type ServiceProcess } from './service-process.ts';
export { startRecorder, type Recorder } from './recorder.ts';
export { startWebhookReceiver, verifyWebhook, type Received, type WebhookReceiver } from './webhook-receiver.ts';
