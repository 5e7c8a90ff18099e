import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { findLeaks } from './leaks.ts';

const folder = await mkdtemp(join(tmpdir(), 'flowstate-leaks-'));
t.teardown(() => rm(folder, { recursive: true }));
const secret = 'Q1ZsZXhhbXBsZS1zZWNyZXQ';
const apiKey = `fsk_${'a'.repeat(12)}_${'B'.repeat(43)}`;
const jwt = `eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.${'s'.repeat(43)}`;

await writeFile(join(folder, '1.secrets'), `${JSON.stringify({ name: 'JWT_SECRET', secret })}\n`);
await writeFile(
  join(folder, '1.out'),
  `gateway {"msg":"begun"}\ngateway {"msg":"secret is ${secret}"}\nworker called with ${apiKey}\ncontroller ${jwt}\n`,
);
// Another test's process knows nothing of the first one's secret; its own never shows.
await writeFile(
  join(folder, '2.secrets'),
  `${JSON.stringify({ name: 'METRICS_TOKEN', secret: 'never-to-be-seen' })}\n`,
);
await writeFile(join(folder, '2.out'), 'gateway {"keyId":"fsk_aaaaaaaaaaaa","kid":"eyJhbGciOi"}\n');

t.test('what a service printed of its secrets is found, named and not printed again', async (t) => {
  const { lines, leaks } = await findLeaks(folder);
  t.equal(lines, 5);
  t.same(leaks, [
    { service: 'gateway', what: 'JWT_SECRET', line: '{"msg":"secret is █"}' },
    { service: 'worker', what: 'a token', line: 'called with █' },
    { service: 'controller', what: 'a token', line: '█' },
  ]);
});
