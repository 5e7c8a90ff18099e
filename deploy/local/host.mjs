// What the provisioner asks of the machine: places, space, processes, locks.
// Plain JavaScript without dependencies, because it runs before Node 24 and any package are there.
import { spawn, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { accessSync, constants, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

/** An expected failure: its message is the one clear line the user needs; no stack is shown. */
export class Advice extends Error {}

/** The disk is too full, which no other way of getting the same thing would change. */
export class NoSpace extends Advice {}

/** What to tell the user of an error: one line if it is one they can do something about, else all that is known. */
export function explain(error) {
  if (error instanceof Advice || error?.code?.startsWith?.('ERR_PARSE_ARGS')) return error.message;
  if (error?.code === 'ENOSPC') return `The disk is full${error.path ? ` (${error.path})` : ''}.`;
  if (['EACCES', 'EPERM', 'EROFS'].includes(error?.code) && error.path) {
    return `${error.path} cannot be changed by this user (${error.code}): it may stem from a start as another user.`;
  }
  return String(error?.stack ?? error);
}

/** Bytes a download and what it unpacks to may need, with room for the first data. */
export const NEEDED_BYTES = 2 * 1024 ** 3;

/**
 * Folder for what is downloaded once per user and shared by all clones.
 * @param {NodeJS.ProcessEnv} env
 * @param {string} clone root of this clone, used when no home folder can be written to
 */
export function cacheDir(env, clone) {
  const named = env.FLOWSTATE_CACHE && resolve(env.FLOWSTATE_CACHE);
  if (named && !isWritable(named)) throw new Advice(`FLOWSTATE_CACHE points to ${named}, which cannot be written to.`);
  if (named && !openToServers(named)) {
    throw new Advice(
      `FLOWSTATE_CACHE points to ${named}, which other users cannot enter: as root, Postgres runs as nobody and must reach it.`,
    );
  }
  if (named) return named;
  const home = join(env.XDG_CACHE_HOME || join(env.HOME || homedir(), '.cache'), 'flowstate');
  const candidates = [home, ...(isRoot() ? ['/var/cache/flowstate'] : []), join(clone, '.flowstate', 'cache')];
  const found = candidates.find((dir) => openToServers(dir) && isWritable(dir));
  if (!found)
    throw new Advice(
      `No folder to keep downloads in: set FLOWSTATE_CACHE to one that can be written to (tried ${candidates.join(', ')}).`,
    );
  return found;
}

/** Postgres refuses root and then runs as nobody, who cannot pass through a private home. */
function openToServers(dir) {
  return !isRoot() || openToAll(dir);
}

/** Creates the folder when missing and says whether we may write there. */
function isWritable(dir) {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o755 });
    accessSync(dir, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export function isRoot() {
  return process.getuid?.() === 0;
}

/** Whether any user may pass through this folder and all above it. Missing folders do not count. */
export function openToAll(dir) {
  for (let at = resolve(dir); ; at = dirname(at)) {
    try {
      if ((statSync(at).mode & 0o001) === 0) return false;
    } catch (error) {
      if (error.code !== 'ENOENT') return false;
    }
    if (at === dirname(at)) return true;
  }
}

/** Throws one clear line when less than `NEEDED_BYTES` are free where `dir` lies. */
export function assertFreeSpace(dir, purpose) {
  let at = resolve(dir);
  while (!fs.existsSync(at)) at = dirname(at);
  const free = freeBytes(at);
  if (free >= NEEDED_BYTES) return;
  throw new NoSpace(
    `Not enough disk space for ${purpose}: ${(free / 1024 ** 3).toFixed(1)} GB free at ${at}, 2 GB needed.`,
  );
}

function freeBytes(dir) {
  if (fs.statfsSync) {
    const { bavail, bsize } = fs.statfsSync(dir);
    return bavail * bsize;
  }
  // Node before 18.15: the fourth column of `df -Pk` is what is available, in KiB.
  const line = execFileSync('df', ['-Pk', dir], { encoding: 'utf8' }).trim().split('\n').pop();
  return Number(line.split(/\s+/)[3]) * 1024;
}

/**
 * When a process started, in a form that only that process has: with the pid it tells a
 * process from a later one that was given the same pid. Undefined when it is gone or a zombie.
 */
export function processStart(pid) {
  try {
    if (process.platform !== 'linux') {
      return (
        execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], {
          encoding: 'utf8',
          stdio: 'pipe',
        }).trim() || undefined
      );
    }
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the name in brackets and may hold anything, so count from the last bracket.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').slice(0, 8)}-${fields[19]}`;
  } catch {
    return undefined;
  }
}

/** Whether this very process (pid and start) is still running. */
export function isAlive({ pid, start }) {
  return start !== undefined && processStart(pid) === start;
}

/**
 * Takes a lock file without waiting.
 * @returns {{release: () => void} | {holder: number}} a release function, or the pid that holds it
 */
export function tryLock(path) {
  mkdirSync(dirname(path), { recursive: true });
  for (;;) {
    try {
      writeFileSync(path, `${process.pid} ${processStart(process.pid)}`, { flag: 'wx' });
      return { release: () => rmSync(path, { force: true }) };
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const held = readLock(path);
    if (held === undefined) continue;
    if (held.alive) return { holder: held.pid };
    // Whoever renames it away first clears it; a lock taken in between is put back.
    const stale = `${path}.${randomBytes(4).toString('hex')}`;
    try {
      renameSync(path, stale);
      const moved = readLock(stale);
      if (moved?.alive) renameSync(stale, path);
      else rmSync(stale, { force: true });
    } catch (error) {
      if (error.code !== 'ENOENT') throw error;
    }
  }
}

/** Who wrote `pid start` into a file, and whether that process lives. */
function readLock(path) {
  try {
    const [pid, start] = readFileSync(path, 'utf8').split(' ');
    // Empty for the instant between creating and writing; after that a crash left it so.
    if (!start) return { pid: 0, alive: Date.now() - statSync(path).mtimeMs < 5000 };
    return { pid: Number(pid), alive: isAlive({ pid: Number(pid), start }) };
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Runs `work` while holding the lock file, waiting for another holder to finish. */
export async function withLock(path, { signal, onWait } = {}, work) {
  let told = false;
  for (;;) {
    signal?.throwIfAborted();
    const lock = tryLock(path);
    if ('release' in lock) {
      try {
        return await work();
      } finally {
        lock.release();
      }
    }
    if (!told) onWait?.(lock.holder);
    told = true;
    await new Promise((wake) => setTimeout(wake, 200));
  }
}

/**
 * Runs a command to its end in a process group of its own, so that a Ctrl-C at the terminal
 * reaches it only through `signal`; on abort the whole group ends before the promise rejects. `record` names a file
 * that tells who is running, for `endRecorded` after a kill -9 of this process.
 * @returns {Promise<{code: number, stdout: string, stderr: string}>} code 127 when it cannot be started
 */
export async function run(command, args, { signal, input, record, ...options } = {}) {
  signal?.throwIfAborted();
  const child = spawn(command, args, {
    ...options,
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  if (record && child.pid) writeFileSync(record, `${child.pid} ${processStart(child.pid)}`);
  const out = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text) => (out.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (out.stderr += text));
  child.stdin.on('error', () => undefined).end(input);
  const killGroup = (name) => {
    try {
      if (child.pid) process.kill(-child.pid, name);
    } catch {
      // already gone
    }
  };
  let force;
  const onAbort = () => {
    killGroup('SIGTERM');
    force = setTimeout(() => killGroup('SIGKILL'), 3000);
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    const code = await new Promise((done) => {
      child.once('error', (error) => {
        out.stderr += error.message;
        done(127);
      });
      child.once('close', (exit) => done(exit ?? 1));
    });
    signal?.throwIfAborted();
    return { code, ...out };
  } finally {
    clearTimeout(force);
    signal?.removeEventListener('abort', onAbort);
    if (signal?.aborted) killGroup('SIGKILL');
    if (record) rmSync(record, { force: true });
  }
}

/** Ends a command, with all it started, that outlived the process which ran it; waits until it is gone. */
export async function endRecorded(record) {
  const holder = readLock(record);
  if (holder?.alive && holder.pid) {
    process.kill(-holder.pid, 'SIGKILL');
    while (processStart(holder.pid) !== undefined) await new Promise((wake) => setTimeout(wake, 20));
  }
  rmSync(record, { force: true });
}

/** Deletes a folder that a process killed this moment may still have been writing into. */
export function removeFolder(dir) {
  rmSync(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
}
