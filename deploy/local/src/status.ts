import { clone } from './clone.ts';
import { readProcesses, type Recorded } from './processes.ts';

const { supervisor, children } = readProcesses(clone.processes);

if (!supervisor && children.length === 0) {
  console.log('Flowstate is not running in this clone: npm start.');
} else {
  if (!supervisor) console.log('npm start was killed and left these running; npm start or npm run stop ends them.');
  const rows = await Promise.all([...(supervisor ? [supervisor] : []), ...children].map(describe));
  for (const row of rows) console.log(row);
}

async function describe(child: Recorded): Promise<string> {
  const health = child.address?.startsWith('http') ? await healthOf(child.address) : '';
  return [child.name.padEnd(12), `pid ${child.pid}`.padEnd(12), child.address ?? '', health].join('  ').trimEnd();
}

async function healthOf(address: string): Promise<string> {
  try {
    const response = await fetch(address, { signal: AbortSignal.timeout(3000) });
    return response.ok ? 'ready' : `not ready (${response.status})`;
  } catch (error) {
    return `no answer (${((error as Error).cause as Error | undefined)?.message ?? (error as Error).message})`;
  }
}
