import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Advice, assertFreeSpace, endRecorded, removeFolder, run, withLock } from '../../host.mjs';
import { aptConfiguration, aptSources, type AptRelease } from './apt.ts';

export type Distribution = { family: 'debian' | 'ubuntu'; release: AptRelease; architecture: string };

/** The first release of each distribution that has pgvector 0.8. The machine's own release does not matter. */
const releases: Record<Distribution['family'], AptRelease> = {
  debian: { suite: 'trixie', components: 'main', keyring: 'debian-archive-keyring.gpg' },
  ubuntu: { suite: 'resolute', components: 'main universe', keyring: 'ubuntu-archive-keyring.gpg' },
};

/** Whose packages can be unpacked here. Throws `Advice` where none can. */
export async function findDistribution(signal: AbortSignal): Promise<Distribution> {
  const family = distribution();
  if (!family) throw new Advice('only Debian and Ubuntu have packages to unpack');
  const architecture = (await run('dpkg', ['--print-architecture'], { signal })).stdout.trim();
  return { family, release: releases[family], architecture };
}

type Options = {
  /** Folder that is made, whole or not at all. */
  home: string;
  /** What is fetched, in words for people. */
  title: string;
  from: Distribution;
  packages: readonly string[];
  /** Which packages they depend on are needed too; by default none. */
  alsoNeeded?: (name: string) => boolean;
  /** Makes what was unpacked ready to run. */
  finish: (root: string) => Promise<void>;
  log: (line: string) => void;
  signal: AbortSignal;
  env: NodeJS.ProcessEnv;
};

/**
 * Unpacks packages of the distribution into a folder: neither root nor a compiler is needed, and nothing of the machine
 * is changed. Several may ask at once; one that was interrupted begins anew. Throws `Advice` where this cannot be done.
 */
export async function unpackOnce(options: Options): Promise<void> {
  const { home, title, from, packages, alsoNeeded = () => false, finish, log, signal, env } = options;
  if (existsSync(home)) return;
  const onWait = (pid: number): void => log(`Waiting for another start (process ${pid}) that is fetching ${title} …`);
  mkdirSync(dirname(home), { recursive: true });
  await withLock(`${home}.lock`, { signal, onWait }, async () => {
    if (existsSync(home)) return;
    assertFreeSpace(dirname(home), `${title} (${dirname(home)})`);
    log(`Fetching ${title} from ${from.family === 'debian' ? 'Debian' : 'Ubuntu'} ${from.release.suite} …`);
    const draft = `${home}.partial`;
    const record = `${home}.pid`;
    await endRecorded(record);
    removeFolder(draft);
    try {
      const root = join(draft, 'root');
      mkdirSync(root, { recursive: true });
      chmodSync(root, 0o755);
      const files = await download(packages, alsoNeeded, from, join(draft, 'apt'), { signal, env, record });
      for (const file of files) {
        const result = await run('dpkg-deb', ['-x', file, root], { signal });
        if (result.code !== 0) throw new Advice(`${file} could not be unpacked: ${result.stderr.trim()}`);
      }
      await finish(root);
      renameSync(root, home);
    } finally {
      removeFolder(draft);
    }
  });
}

function distribution(): Distribution['family'] | undefined {
  if (!existsSync('/etc/os-release')) return undefined;
  const text = readFileSync('/etc/os-release', 'utf8');
  const ids = /^ID(?:_LIKE)?=.*$/gm;
  const names = (text.match(ids) ?? []).join(' ');
  if (/ubuntu/.test(names)) return 'ubuntu';
  return /debian/.test(names) ? 'debian' : undefined;
}

/** Downloads the packages and those they need; returns the files. */
async function download(
  wanted: readonly string[],
  alsoNeeded: (name: string) => boolean,
  { release, architecture }: Distribution,
  dir: string,
  { signal, env, record }: Pick<Options, 'signal' | 'env'> & { record: string },
): Promise<string[]> {
  const failures: string[] = [];
  for (const source of await aptSources({ signal, env })) {
    rmSync(dir, { recursive: true, force: true });
    const aptEnv = {
      ...env,
      LC_ALL: 'C',
      APT_CONFIG: aptConfiguration(dir, source, release, architecture),
    };
    const apt = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await run('apt-get', ['-q', '-y', ...args], {
        signal,
        env: aptEnv,
        record,
        cwd: join(dir, 'archives'),
      });
      if (code !== 0) throw new Advice(aptFailure(`${stdout}\n${stderr}`));
      return stdout;
    };
    try {
      // A mirror that cannot be reached is tried twice as it is, for two files; the next source may do.
      await apt('update', '--error-on=any', '-o', 'Acquire::Retries=0');
      const plan = await apt('install', '--no-install-recommends', '--print-uris', ...wanted);
      const names = [...plan.matchAll(/^'[^']+' ([^_ ]+)_/gm)].map((match) => match[1] ?? '');
      await apt('download', ...names.filter((name) => wanted.includes(name) || alsoNeeded(name)));
      return readdirSync(join(dir, 'archives'))
        .filter((file) => file.endsWith('.deb'))
        .map((file) => join(dir, 'archives', file));
    } catch (error) {
      if (!(error instanceof Advice)) throw error;
      failures.push(`${source}: ${error.message}`);
    }
  }
  throw new Advice(failures[0] ?? "apt's sources name no mirror of the distribution");
}

/** apt's own reason: an `E:` line that says what failed, the first one if several do. */
function aptFailure(output: string): string {
  const lines = output.split('\n').filter((line) => line.startsWith('E: '));
  return (lines.find((line) => line.includes('Failed to fetch')) ?? lines[0] ?? 'apt-get failed')
    .replace(/^E: /, '')
    .replace(/\s+/g, ' ')
    .replace(/[\s:.]+$/, '');
}
