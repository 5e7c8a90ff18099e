import { chmodSync, existsSync, lstatSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { Advice, run } from '../../host.mjs';
import type { PostgresProgram } from './installed.ts';
import { findDistribution, unpackOnce, type Distribution } from './packages.ts';

export type UnpackedPrograms = { postgres: PostgresProgram; redis: string };

/** Raised when what is unpacked, or how, changes: the cache of an older recipe is then left aside. */
const recipeVersion = 1;

/** The version of PostgreSQL in each distribution's release. */
const postgresMajors: Record<Distribution['family'], number> = { debian: 17, ubuntu: 18 };

type Loader = { triplet: string; loader: string };

const loaders: Record<string, Loader> = {
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
 * PostgreSQL, pgvector and Redis from the distribution's own packages, unpacked into the cache. They come with the C
 * library they were built for and run by its loader, so one release serves machines with an older one, too.
 * Throws `Advice` where this cannot be done.
 */
export async function unpackDebian({ cacheDir, log, signal, env }: Options): Promise<UnpackedPrograms> {
  const from = await findDistribution(signal);
  const { family, release, architecture } = from;
  const loader = loaders[architecture];
  if (!loader) throw new Advice('only Debian and Ubuntu on amd64 or arm64 have packages to unpack');
  const major = postgresMajors[family];
  const home = join(cacheDir, 'stores', `${family}-${release.suite}-${architecture}-${recipeVersion}`);
  await unpackOnce({
    home,
    title: `PostgreSQL ${major} with pgvector and Redis`,
    from,
    packages: [`postgresql-${major}`, `postgresql-${major}-pgvector`, 'redis-server', 'redis-tools'],
    alsoNeeded: isLibrary,
    async finish(root) {
      trim(root, loader.triplet, major);
      const bin = `usr/lib/postgresql/${major}/bin`;
      await runByOwnLoader(root, loader, [`${bin}/postgres`, `${bin}/initdb`, 'usr/bin/redis-server']);
    },
    log,
    signal,
    env,
  });
  return {
    postgres: { bin: join(home, `usr/lib/postgresql/${major}/bin`), major },
    redis: join(home, 'usr/bin/redis-server'),
  };
}

type Wanted = {
  /** Begins the folder's name. */
  name: string;
  title: string;
  packages(major: number): string[];
  /** Paths of the programs that are made to run. */
  programs(major: number): string[];
};

/** Nothing here starts these: tests do, where the machine has none. Throws `Advice` where this cannot be done. */
async function unpackPrograms(
  { name, title, packages, programs }: Wanted,
  { cacheDir, log, signal, env }: Options,
): Promise<string> {
  const from = await findDistribution(signal);
  const { family, release, architecture } = from;
  const loader = loaders[architecture];
  if (!loader) throw new Advice('only Debian and Ubuntu on amd64 or arm64 have packages to unpack');
  const major = postgresMajors[family];
  const home = join(cacheDir, 'stores', `${name}-${family}-${release.suite}-${architecture}-${recipeVersion}`);
  await unpackOnce({
    home,
    title,
    from,
    packages: packages(major),
    alsoNeeded: isLibrary,
    async finish(root) {
      trim(root, loader.triplet, major);
      await runByOwnLoader(root, loader, programs(major));
    },
    log,
    signal,
    env,
  });
  return join(home, dirname(programs(major)[0] ?? ''));
}

/** PostgreSQL's client programs in the version of `unpackDebian`; returns their folder. */
export function unpackPostgresClient(options: Options): Promise<string> {
  return unpackPrograms(
    {
      name: 'client',
      title: 'the client programs of PostgreSQL',
      packages: (major) => [`postgresql-client-${major}`],
      programs: (major) => ['pg_dump', 'pg_restore', 'psql'].map((each) => `usr/lib/postgresql/${major}/bin/${each}`),
    },
    options,
  );
}

/** PgBouncer; returns its folder. */
export function unpackPgbouncer(options: Options): Promise<string> {
  return unpackPrograms(
    {
      name: 'pgbouncer',
      title: 'PgBouncer',
      packages: () => ['pgbouncer'],
      programs: () => ['usr/sbin/pgbouncer'],
    },
    options,
  );
}

/** Shared libraries only: no maintainer scripts run, and LLVM (46 of 99 MB) would serve the JIT that is off. */
function isLibrary(name: string): boolean {
  return /^(lib|zlib1g)/.test(name) && !/^lib(llvm|z3|perl|pam-modules|c-l10n)/.test(name);
}

function trim(root: string, triplet: string, major: number): void {
  const unused = ['doc', 'man', 'locale', 'lintian', 'bug', 'i18n'].map((name) => `usr/share/${name}`);
  const parts = [...unused, `usr/lib/${triplet}/gconv`, `usr/lib/postgresql/${major}/lib/bitcode`, 'var', 'etc'];
  for (const part of parts) rmSync(join(root, part), { recursive: true, force: true });
}

/** Puts a small script in front of each program that starts it by the unpacked loader with the unpacked libraries. */
async function runByOwnLoader(root: string, { triplet, loader }: Loader, programs: string[]): Promise<void> {
  const libraries = [`usr/lib/${triplet}`, `lib/${triplet}`].filter((dir) => existsSync(join(root, dir)));
  const home = libraries.find((dir) => existsSync(join(root, dir, loader)));
  if (!home) throw new Advice(`the downloaded C library has no ${loader}`);
  for (const file of programs.map((program) => join(root, program))) {
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
  for (const program of programs) {
    if ((await run(join(root, program), ['--version'])).code !== 0)
      throw new Advice(`the unpacked ${basename(program)} does not run here`);
  }
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
