export { startStores, type Outage, type StoreOptions, type Stores, type StoreSource } from './stores.ts';
export { storeImages } from './stores/images.ts';
export { findDistribution, unpackOnce } from './stores/packages.ts';
