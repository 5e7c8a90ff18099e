#!/usr/bin/env node
// Entry of `npm start`, `npm test`, `npm run bench|status|stop|reset`: runs on any Node from 18 on,
// fetches what is missing and hands over to the TypeScript programs on Node 24.
const major = Number(process.versions.node.split('.')[0]);
if (major < 18) {
  console.error(
    'Flowstate needs Node 18 or later to begin with (this is ' + process.versions.node + '): see https://nodejs.org.',
  );
  process.exit(1);
}
if (process.platform === 'win32') {
  console.error('Flowstate does not run on Windows itself: use WSL2 (https://learn.microsoft.com/windows/wsl).');
  process.exit(1);
}
const { main } = await import('./handover.mjs');
process.exitCode = await main(process.argv.slice(2));
