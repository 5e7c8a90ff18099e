import type { Db } from '../client.ts';
import { readEvents } from './read.ts';

/** Does the run wait for somebody's approval by that signal right now? */
export async function awaitsApproval(db: Db, runId: string, signal: string): Promise<boolean> {
  const open = new Map<string, { signal?: string; approval?: boolean }>();
  for (const { type, data } of await readEvents(db, runId)) {
    if (type === 'wait.begun') open.set(data.name as string, data);
    else if (type === 'wait.ended') open.delete(data.name as string);
  }
  return [...open.values()].some((wait) => wait.approval === true && wait.signal === signal);
}
