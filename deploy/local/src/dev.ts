import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { createConsole } from './console.ts';
import { startLocked } from './locked-start.ts';
import { Advice } from '../host.mjs';
import { createStopRequest } from './stop-request.ts';

const usage = `npm run dev -- <folder> [<folder> …]

Starts Flowstate like npm start, with the workflows of these folders, and starts the worker again whenever a file in
them changes: runs in hand are handed back at their next step and go on with the new code. Nothing is shown but the log.

  --sample  load the sample data, too
  --help    this text

A workflow whose input or output schema changes needs a new version. See also: npm start -- --help.`;

const console = createConsole(process.stdout, process.env);

await startLocked(console, createStopRequest(console.say), () => {
  const { values, positionals } = parseArgs({
    options: { sample: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h' } },
    allowPositionals: true,
  });
  if (values.help) return { say: usage };
  const folders = positionals.map((folder) => resolve(process.env.INIT_CWD ?? process.cwd(), folder));
  if (folders.length === 0) throw new Advice('Which folder are your workflows in? npm run dev -- ./my-workflows');
  for (const folder of folders) if (!existsSync(folder)) throw new Advice(`${folder} does not exist`);
  return { once: false, sample: values.sample, demonstrate: false, workflows: folders };
});
