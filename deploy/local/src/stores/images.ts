/** Container images of the stores: compose runs them for `npm start`, testcontainers for `npm test`. */
export const storeImages = { postgres: 'pgvector/pgvector:pg17', redis: 'redis:8' };
