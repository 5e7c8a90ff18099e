import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../host.mjs';

/** Beside the data once Docker was used, with the names of what ran there: a later start, stop or reset knows of it. */
const markerName = 'docker-services';

/** Names of the compose services that keep, or kept, data of the stores in this folder. */
export function dockerServices(dir: string): Set<string> {
  const marker = join(dir, markerName);
  return new Set(existsSync(marker) ? readFileSync(marker, 'utf8').split('\n') : []);
}

export function mark(dir: string, services: Set<string>): void {
  const marker = join(dir, markerName);
  if (services.size === 0) rmSync(marker, { force: true });
  else writeFileSync(marker, [...services].join('\n'));
}

/**
 * Removes containers a killed start left, and with `volumes` their data. Does nothing where Docker was not used.
 * Returns false when Docker was used but could not be told to.
 */
export async function removeDockerStores(dir: string, { volumes }: { volumes: boolean }): Promise<boolean> {
  if (dockerServices(dir).size === 0) return true;
  const removed = await down(projectName(dir), { volumes, env: process.env });
  if (volumes) mark(dir, new Set());
  return removed;
}

/** Compose project of the stores in this folder: it names their containers and volumes. */
export function projectName(dir: string): string {
  return `flowstate-${createHash('sha256').update(dir).digest('hex').slice(0, 8)}`;
}

export async function down(
  project: string,
  { volumes, env }: { volumes: boolean; env: NodeJS.ProcessEnv },
): Promise<boolean> {
  // By project name alone: the compose file's variables are not known here.
  const args = ['compose', '-p', project, 'down', ...(volumes ? ['--volumes'] : [])];
  return (await run('docker', args, { env })).code === 0;
}
