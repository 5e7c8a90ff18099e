import { migrate } from '@flowstate/store';
import { login } from '../api.ts';
import { clone } from '../clone.ts';
import { customerToShow, showInsight } from '../demo.ts';
import { loadSample } from '../sample.ts';
import { seed } from '../seed.ts';
import { composeSettings } from './compose-settings.ts';
import { secretsByService, writeSecrets } from './write-secrets.ts';

// What deploy/compose.yaml does once at its start: `secrets`, then `prepare` (the database), then `demo`.

const usage = 'One of: secrets <folder>, prepare, demo, password';
const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort());
const { signal } = stop;
const log = (line: string): void => console.log(line);
const [task, folder] = process.argv.slice(2);

const tasks: Record<string, () => Promise<void>> = {
  async secrets() {
    if (folder === undefined) throw new Error(usage);
    writeSecrets(folder, secretsByService(composeSettings(clone.dir)));
  },
  async prepare() {
    const settings = composeSettings(clone.dir);
    const { applied } = await migrate(settings.DATABASE_URL);
    log(`Applied ${applied.length} migrations`);
    await seed(settings, { log, env: {} });
  },
  async demo() {
    process.exitCode = (await demonstrate()) ? 0 : 1;
  },
  async password() {
    log(composeSettings(clone.dir).DEMO_PASSWORD);
  },
};
const work = tasks[task ?? ''];
if (work === undefined) throw new Error(usage);
await work();

/** Loads the sample data and does the main job, both as a client of the API; resolves to whether it completed. */
async function demonstrate(): Promise<boolean> {
  const { GATEWAY_URL, DEMO_PASSWORD } = composeSettings(clone.dir);
  const admin = await login(GATEWAY_URL, 'admin@flowstate.local', DEMO_PASSWORD, signal);
  await loadSample(admin, { database: 'own', log, signal });
  const manager = await login(GATEWAY_URL, 'manager@flowstate.local', DEMO_PASSWORD, signal);
  return showInsight(manager, await customerToShow(manager), { print: log, colour: false, signal });
}
