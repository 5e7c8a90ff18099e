import { chmodSync, existsSync, lstatSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { Advice, run } from '../../host.mjs';
import type { PostgresProgram } from './installed.ts';
import { postgresVersion } from './installed.ts';
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
      await runByOwnLoader(root, loader, major);
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
async function runByOwnLoader(root: string, { triplet, loader }: Loader, major: number): Promise<void> {
  const libraries = [`usr/lib/${triplet}`, `lib/${triplet}`].filter((dir) => existsSync(join(root, dir)));
  const home = libraries.find((dir) => existsSync(join(root, dir, loader)));
  if (!home) throw new Advice(`the downloaded C library has no ${loader}`);
  const bin = join(root, `usr/lib/postgresql/${major}/bin`);
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
  if ((await postgresVersion(bin)) !== major) throw new Advice('the unpacked PostgreSQL does not run here');
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
