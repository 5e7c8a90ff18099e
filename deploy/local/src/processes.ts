import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { isAlive, processStart } from '../host.mjs';

/** A process we started: the pid alone may since have been given to somebody else. */
export type Recorded = { name: string; pid: number; start: string; address?: string };

type State = { supervisor: Recorded; children: Recorded[] };

export type ProcessRecord = {
  /** `address` is where it serves, for people to read. */
  add(name: string, pid: number, address?: string): void;
  remove(pid: number): void;
  /** Deletes the file: nothing is running any more. */
  clear(): void;
};

/**
 * Keeps a file naming this process and every child, written before anything can go wrong with the child, so that
 * whoever comes after a kill -9 knows what was left running.
 */
export function createProcessRecord(file: string): ProcessRecord {
  const own = { name: 'supervisor', pid: process.pid, start: processStart(process.pid) ?? '' };
  const children = new Map<number, Recorded>();

  function write(): void {
    const state: State = { supervisor: own, children: [...children.values()] };
    writeFileSync(`${file}.new`, JSON.stringify(state, null, 2));
    renameSync(`${file}.new`, file);
  }
  write();

  return {
    add(name, pid, address) {
      // Gone already: nothing to remember.
      const start = processStart(pid);
      if (start !== undefined) children.set(pid, { name, pid, start, ...(address !== undefined && { address }) });
      write();
    },
    remove(pid) {
      children.delete(pid);
      write();
    },
    clear() {
      rmSync(file, { force: true });
    },
  };
}

/** What a record says is running at this moment: the supervisor, if alive, and the children still alive. */
export function readProcesses(file: string): {
  supervisor: Recorded | undefined;
  children: Recorded[];
} {
  if (!existsSync(file)) return { supervisor: undefined, children: [] };
  const state = JSON.parse(readFileSync(file, 'utf8')) as State;
  return {
    supervisor: isAlive(state.supervisor) ? state.supervisor : undefined,
    children: state.children.filter((child) => isAlive(child)),
  };
}

/**
 * Ends what a killed supervisor left behind: its services first, then its stores. Does nothing while the supervisor
 * itself is alive. Returns the names of what was ended.
 */
export async function reapOrphans(file: string, graceMs = 8_000): Promise<string[]> {
  const { supervisor, children } = readProcesses(file);
  if (supervisor) return [];
  const isStore = ({ name }: Recorded): boolean => /^(postgres|redis)/.test(name);
  for (const group of [children.filter((child) => !isStore(child)), children.filter(isStore)]) {
    await Promise.all(group.map((child) => endProcess(child, graceMs)));
  }
  rmSync(file, { force: true });
  return children.map((child) => child.name);
}

/** SIGTERM (Postgres: SIGINT, its fast shutdown) to the process group, SIGKILL after `graceMs`; waits for the end. */
async function endProcess(child: Recorded, graceMs: number): Promise<void> {
  signalGroup(child.pid, stopSignal(child.name));
  const deadline = Date.now() + graceMs;
  while (isAlive(child)) {
    if (Date.now() > deadline) signalGroup(child.pid, 'SIGKILL');
    await new Promise((wake) => setTimeout(wake, 50));
  }
}

/** Postgres waits for its clients on SIGTERM and ends their sessions on SIGINT. */
export function stopSignal(name: string): NodeJS.Signals {
  return name.startsWith('postgres') ? 'SIGINT' : 'SIGTERM';
}

/** Signals the group a child leads; a group that is gone is no error. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
