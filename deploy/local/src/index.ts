export { startStores, type Outage, type StoreOptions, type Stores, type StoreSource } from './stores.ts';
export { unpackPgbouncer, unpackPostgresClient } from './stores/debian.ts';
export { findPostgresProgram } from './stores/postgres-program.ts';
export { findRedisProgram } from './stores/redis-program.ts';
export { storeImages } from './stores/images.ts';
export { findDistribution, unpackOnce } from './stores/packages.ts';
