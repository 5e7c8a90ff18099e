/** Test files that need one Redis server by their nature, and why: `npm run test:cluster` says so of them. */
export const singleServerOnly: Readonly<Record<string, string>> = {
  'deploy/local/test/stores.test.ts': 'about the servers that npm start brings up',
  'deploy/local/test/docker.test.ts': 'about the servers that npm start brings up',
  'packages/cli/test/redis.test.ts': 'passwords of Redis are changed server by server',
  'packages/search/test/shared-flight.test.ts': 'watches one server (MONITOR) to know when processes wait',
  'test/images.test.ts': 'the images are built, not how they reach Redis is tested',
};
