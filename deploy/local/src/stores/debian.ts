import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { Advice, assertFreeSpace, endRecorded, removeFolder, run, withLock } from '../../host.mjs';
import { aptConfiguration, aptSources, type AptRelease } from './apt.ts';
import type { PostgresProgram } from './installed.ts';
import { postgresVersion } from './installed.ts';

export type UnpackedPrograms = { postgres: PostgresProgram; redis: string };

type Recipe = AptRelease & { postgres: number };

/** Raised when what is unpacked, or how, changes: the cache of an older recipe is then left aside. */
const recipeVersion = 1;

/** The first release of each distribution that has pgvector 0.8. The machine's own release does not matter. */
const recipes: Record<'debian' | 'ubuntu', Recipe> = {
  debian: {
    suite: 'trixie',
    components: 'main',
    keyring: 'debian-archive-keyring.gpg',
    postgres: 17,
  },
  ubuntu: {
    suite: 'resolute',
    components: 'main universe',
    keyring: 'ubuntu-archive-keyring.gpg',
    postgres: 18,
  },
};

const loaders: Record<string, { triplet: string; loader: string }> = {
  amd64: { triplet: 'x86_64-linux-gnu', loader: 'ld-linux-x86-64.so.2' },
  arm64: { triplet: 'aarch64-linux-gnu', loader: 'ld-linux-aarch64.so.1' },
};

type Options = {
  cacheDir: string;
  log: (line: string) => void;
  signal: AbortSignal;
  env: NodeJS.ProcessEnv;
};

/**
 * PostgreSQL, pgvector and Redis from the distribution's own packages, unpacked into the cache: neither root nor a
 * compiler is needed, and nothing of the machine is changed. They come with the C library they were built for and
 * run by its loader, so one release serves machines with an older one, too.
 * Throws `Advice` where this cannot be done.
 */
export async function unpackDebian({ cacheDir, log, signal, env }: Options): Promise<UnpackedPrograms> {
  const family = distribution();
  const architecture = (await run('dpkg', ['--print-architecture'], { signal })).stdout.trim();
  const loader = loaders[architecture];
  if (!family || !loader) throw new Advice('only Debian and Ubuntu on amd64 or arm64 have packages to unpack');
  const recipe = recipes[family];
  const home = join(cacheDir, 'stores', `${family}-${recipe.suite}-${architecture}-${recipeVersion}`);
  const programs = {
    postgres: {
      bin: join(home, `usr/lib/postgresql/${recipe.postgres}/bin`),
      major: recipe.postgres,
    },
    redis: join(home, 'usr/bin/redis-server'),
  };
  if (existsSync(home)) return programs;
  const onWait = (pid: number): void =>
    log(`Waiting for another start (process ${pid}) that is fetching PostgreSQL and Redis …`);
  await withLock(`${home}.lock`, { signal, onWait }, async () => {
    if (existsSync(home)) return;
    assertFreeSpace(cacheDir, `PostgreSQL and Redis (${cacheDir})`);
    log(
      `Fetching PostgreSQL ${recipe.postgres} with pgvector and Redis from ${family === 'debian' ? 'Debian' : 'Ubuntu'} ${recipe.suite} …`,
    );
    const draft = `${home}.partial`;
    const record = `${home}.pid`;
    await endRecorded(record);
    removeFolder(draft);
    try {
      const root = join(draft, 'root');
      mkdirSync(root, { recursive: true });
      chmodSync(root, 0o755);
      const packages = await download(recipe, architecture, join(draft, 'apt'), { signal, env, record });
      for (const file of packages) {
        const result = await run('dpkg-deb', ['-x', file, root], { signal });
        if (result.code !== 0) throw new Advice(`${file} could not be unpacked: ${result.stderr.trim()}`);
      }
      trim(root, loader.triplet, recipe);
      await runByOwnLoader(root, loader, recipe);
      renameSync(root, home);
    } finally {
      removeFolder(draft);
    }
  });
  return programs;
}

function distribution(): 'debian' | 'ubuntu' | undefined {
  if (!existsSync('/etc/os-release')) return undefined;
  const text = readFileSync('/etc/os-release', 'utf8');
  const ids = /^ID(?:_LIKE)?=.*$/gm;
  const names = (text.match(ids) ?? []).join(' ');
  if (/ubuntu/.test(names)) return 'ubuntu';
  return /debian/.test(names) ? 'debian' : undefined;
}

/** Downloads the packages and the libraries they need; returns the files. */
async function download(
  recipe: Recipe,
  architecture: string,
  dir: string,
  { signal, env, record }: Pick<Options, 'signal' | 'env'> & { record: string },
): Promise<string[]> {
  const wanted = [
    `postgresql-${recipe.postgres}`,
    `postgresql-${recipe.postgres}-pgvector`,
    'redis-server',
    'redis-tools',
  ];
  const failures: string[] = [];
  for (const source of await aptSources({ signal, env })) {
    rmSync(dir, { recursive: true, force: true });
    const aptEnv = {
      ...env,
      LC_ALL: 'C',
      APT_CONFIG: aptConfiguration(dir, source, recipe, architecture),
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
      await apt('download', ...names.filter((name) => wanted.includes(name) || isLibrary(name)));
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

/** Shared libraries only: no maintainer scripts run, and LLVM (46 of 99 MB) would serve the JIT that is off. */
function isLibrary(name: string): boolean {
  return /^(lib|zlib1g)/.test(name) && !/^lib(llvm|z3|perl|pam-modules|c-l10n)/.test(name);
}

function trim(root: string, triplet: string, recipe: Recipe): void {
  const unused = ['doc', 'man', 'locale', 'lintian', 'bug', 'i18n'].map((name) => `usr/share/${name}`);
  const parts = [
    ...unused,
    `usr/lib/${triplet}/gconv`,
    `usr/lib/postgresql/${recipe.postgres}/lib/bitcode`,
    'var',
    'etc',
  ];
  for (const part of parts) rmSync(join(root, part), { recursive: true, force: true });
}

/** Puts a small script in front of each program that starts it by the unpacked loader with the unpacked libraries. */
async function runByOwnLoader(
  root: string,
  { triplet, loader }: { triplet: string; loader: string },
  recipe: Recipe,
): Promise<void> {
  const libraries = [`usr/lib/${triplet}`, `lib/${triplet}`].filter((dir) => existsSync(join(root, dir)));
  const home = libraries.find((dir) => existsSync(join(root, dir, loader)));
  if (!home) throw new Advice(`the downloaded C library has no ${loader}`);
  const bin = join(root, `usr/lib/postgresql/${recipe.postgres}/bin`);
  for (const file of [join(bin, 'postgres'), join(bin, 'initdb'), join(root, 'usr/bin/redis-server')]) {
    const here = relative(dirname(file), root);
    const path = libraries.map((dir) => `$root/${dir}`).join(':');
    const program = setAside(file);
    // The host's library cache must not mix its own versions in.
    const lines = [
      '#!/bin/sh',
      'here=${0%/*}',
      `root=$here/${here}`,
      `exec "$root/${home}/${loader}" --inhibit-cache --library-path "${path}" --argv0 "$0" "$here/${program}" "$@"`,
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    chmodSync(file, 0o755);
  }
  if ((await postgresVersion(bin)) !== recipe.postgres) throw new Advice('the unpacked PostgreSQL does not run here');
  if ((await run(join(root, 'usr/bin/redis-server'), ['--version'])).code !== 0)
    throw new Advice('the unpacked Redis does not run here');
}

/** Frees the program's name for the script; returns the name it now has. Redis' programs are one file with links. */
function setAside(file: string): string {
  if (lstatSync(file).isSymbolicLink()) {
    const target = basename(realpathSync(file));
    rmSync(file);
    return target;
  }
  renameSync(file, `${file}.elf`);
  return `${basename(file)}.elf`;
}
