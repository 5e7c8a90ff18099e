/** Test files that are not about how the product reaches Redis, and why: `npm run test:cluster` says so of them. */
export const singleServerOnly: Readonly<Record<string, string>> = {
  'deploy/local/test/stores.test.ts': 'about the servers that npm start brings up',
  'deploy/local/test/docker.test.ts': 'about the servers that npm start brings up',
  'test/images.test.ts': 'the images are built, not how they reach Redis is tested',
};
