import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { clone } from './clone.ts';
import { stopClone } from './stop-clone.ts';
import { removeDockerStores } from './stores/docker-project.ts';

const sure = process.argv.includes('--yes') || (await confirm());
if (!sure) {
  console.log('Nothing was deleted.');
  // A script must not go on as if it had been.
  if (!process.stdin.isTTY) process.exitCode = 1;
} else if (await stopClone(console.log)) {
  if (!(await removeDockerStores(clone.stores, { volumes: true })))
    console.log(
      'Docker does not answer, so that its volumes of this clone are left: docker volume ls -f name=flowstate-',
    );
  if (clone.stores !== clone.dir) rmSync(clone.stores, { recursive: true, force: true });
  // Downloads may have had to go into the clone; they are no data.
  const data = existsSync(clone.dir) ? readdirSync(clone.dir).filter((name) => name !== 'cache') : [];
  for (const name of data) rmSync(join(clone.dir, name), { recursive: true, force: true });
  console.log('Deleted the data, secrets and settings of this clone; npm start makes new ones.');
} else {
  process.exitCode = 1;
}

async function confirm(): Promise<boolean> {
  if (!process.stdin.isTTY) {
    console.log(
      'npm run reset deletes the data, secrets and settings of this clone: confirm with npm run reset -- --yes',
    );
    return false;
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question('Delete the data, secrets and settings of this clone? [y/N] ');
  terminal.close();
  return /^y(es)?$/i.test(answer.trim());
}
