export { createTestDatabase, type TestDatabase } from './database.ts';
export { requiredEnv } from './environment.ts';
export { createTestRedis, type TestRedis } from './redis.ts';
