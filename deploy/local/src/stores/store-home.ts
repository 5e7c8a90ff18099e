import { createHash, randomBytes } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  symlinkSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  statfsSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { Advice, isRoot, openToAll } from '../../host.mjs';
import { readIfThere, writePrivate } from '../private-file.ts';
import { createProcessRecord, readProcesses, reapOrphans, type ProcessRecord } from '../processes.ts';
import { removeDockerStores } from './docker-project.ts';

/** Where the stores of one clone (or one test run) keep their data, and what they share. */
export type StoreHome = {
  dir: string;
  /** The same for Postgres and both Redis instances. */
  password: string;
  /** Ports of last time, kept so that a URL somebody noted down goes on working. */
  ports: { get(name: string): number | undefined; set(name: string, port: number): void };
  /** As whom the servers run, when we are root. */
  user: { uid: number; gid: number } | undefined;
  record: ProcessRecord;
  log: (line: string) => void;
  signal: AbortSignal;
  ephemeral: boolean;
};

type Options = {
  dataDir: string;
  log: (line: string) => void;
  signal: AbortSignal;
  ephemeral: boolean;
  record: ProcessRecord | undefined;
};

const temporaryPrefix = 'flowstate-';
const memoryFolder = '/dev/shm';
/** What all tests write stays below one; the services take theirs besides. */
const neededMemory = 6 * 1024 ** 3;
const recordName = 'processes.json';

/** Opens (or makes) the folder with the stores' data, after ending what a killed predecessor left running in it. */
export async function openStoreHome({ dataDir, log, signal, ephemeral, record }: Options): Promise<StoreHome> {
  const user = serverUser();
  const dir = ephemeral ? await temporaryHome() : ownFolder(dataDir);
  const recordFile = join(dir, recordName);
  if (!record) await reapOrphans(recordFile);
  const kept = keptValues(join(dir, 'stores.json'));
  return {
    dir,
    user,
    log,
    signal,
    ephemeral,
    record: record ?? createProcessRecord(recordFile),
    ...kept,
  };
}

/** Folder of a clone's stores: inside the clone, unless the user they run as cannot get there. */
export function storeFolder(dataDir: string): string {
  if (!isRoot() || openToAll(dataDir)) return dataDir;
  const clone = dirname(dataDir);
  const hash = createHash('sha256').update(clone).digest('hex').slice(0, 8);
  return join('/var/lib/flowstate', `${basename(clone)}-${hash}`);
}

/** Makes the folder; one outside the clone that this clone does not know of is an earlier clone's at the same path. */
function ownFolder(dataDir: string): string {
  const dir = storeFolder(dataDir);
  const link = join(dataDir, 'stores');
  mkdirSync(dataDir, { recursive: true, mode: 0o755 });
  if (dir !== dataDir && !existsSync(link)) {
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(dir, { recursive: true, mode: 0o755 });
    symlinkSync(dir, link);
  }
  return dir;
}

function keptValues(file: string): Pick<StoreHome, 'password' | 'ports'> {
  const text = readIfThere(file);
  const values =
    text === undefined ? { ports: {} } : (JSON.parse(text) as { password?: string; ports: Record<string, number> });
  const password = values.password ?? randomBytes(24).toString('base64url');
  const write = (): void => writePrivate(file, `${JSON.stringify({ ...values, password }, null, 2)}\n`);
  write();
  return {
    password,
    ports: {
      get: (name) => values.ports[name],
      set(name, port) {
        values.ports[name] = port;
        write();
      },
    },
  };
}

/** A new temporary folder; those of runs that were killed are cleared away on the occasion. */
async function temporaryHome(): Promise<string> {
  const parents = [memoryFolder, tmpdir(), '/tmp', '/var/tmp'].filter((dir) => !isRoot() || openToAll(dir));
  const leftovers = new Set(parents.filter(existsSync).flatMap(temporaryHomesIn));
  for (const leftover of leftovers) {
    // Another run may be clearing away the same ones.
    const uid = statSync(leftover, { throwIfNoEntry: false })?.uid;
    if (uid === undefined || uid !== process.getuid?.() || !readIfThere(join(leftover, recordName))) continue;
    if (readProcesses(join(leftover, recordName)).supervisor) continue;
    await reapOrphans(join(leftover, recordName), 2_000);
    await removeDockerStores(leftover, { volumes: true });
    rmSync(leftover, { recursive: true, force: true });
  }
  const parent = parents.find((dir) => dir !== memoryFolder || hasRoomInMemory()) ?? tmpdir();
  const dir = mkdtempSync(join(parent, temporaryPrefix));
  chmodSync(dir, 0o711);
  return dir;
}

function temporaryHomesIn(parent: string): string[] {
  const names = readdirSync(parent).filter((entry) => entry.startsWith(temporaryPrefix));
  return names.map((name) => join(parent, name));
}

/**
 * Files that are made and deleted by the hundred, as with each database of a test, cost ext4 more and more: it searches
 * among those just deleted. In memory they cost next to nothing, where there is enough of it.
 */
function hasRoomInMemory(): boolean {
  try {
    const { bavail, bsize, type } = statfsSync(memoryFolder);
    const tmpfs = 0x01021994;
    return type === tmpfs && Math.min(bavail * bsize, process.availableMemory()) >= neededMemory;
  } catch {
    return false; // not Linux
  }
}

/** Postgres refuses to run as root. */
function serverUser(): StoreHome['user'] {
  if (!isRoot()) return undefined;
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith('nobody:'));
  if (!line)
    throw new Advice(
      'Running as root, but this machine has no user "nobody" to run Postgres as: start as another user.',
    );
  const [, , uid, gid] = line.split(':');
  return { uid: Number(uid), gid: Number(gid) };
}

/** Where a server's own log goes: a file beside its data, begun anew with each start. */
export function openStoreLog(home: StoreHome, name: string): (line: string) => void {
  const file = join(home.dir, `${name}.log`);
  rmSync(file, { force: true });
  return (line) => appendFileSync(file, `${line}\n`, { mode: 0o600 });
}
