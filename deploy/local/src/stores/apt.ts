import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../host.mjs';

/** A release to fetch packages from; `keyring` is the file in /usr/share/keyrings that signs it. */
export type AptRelease = { suite: string; components: string; keyring: string };

/** Releases by which a machine's own sources are told from a vendor's repository. */
const floating = new Set(['stable', 'oldstable', 'oldoldstable', 'testing', 'unstable', 'sid']);

/**
 * Addresses of the distribution's mirrors that this machine's apt is set up for, the likeliest first.
 * Vendors' repositories use release names as well, but have no `-updates` beside them.
 */
export async function aptSources({ signal, env }: { signal: AbortSignal; env: NodeJS.ProcessEnv }): Promise<string[]> {
  const options = ['-o', 'Debug::NoLocking=true', 'update', '--print-uris'];
  const { stdout } = await run('apt-get', options, { signal, env: { ...env, LC_ALL: 'C' } });
  const releases = [...stdout.matchAll(/^'(.+?)dists\/([^/']+)\/(?:In)?Release'/gm)].map(([, uri, release]) => ({
    uri,
    release,
  }));
  const updated = new Set(releases.filter(({ release }) => release?.endsWith('-updates')).map(({ uri }) => uri));
  const plain = releases.filter(
    ({ uri, release }) => updated.has(uri) || floating.has(release ?? '') || !release?.includes('-'),
  );
  const uris = new Set(plain.map(({ uri }) => uri ?? ''));
  return [...uris].toSorted((a, b) => Number(updated.has(b)) - Number(updated.has(a)));
}

/**
 * Writes the configuration of a private apt in `dir`: its own sources, lists and packages, but the machine's settings
 * for proxies, certificates and credentials. Returns the file for `APT_CONFIG`.
 */
export function aptConfiguration(dir: string, uri: string, release: AptRelease, architecture: string): string {
  for (const part of ['lists/partial', 'archives/partial']) mkdirSync(join(dir, part), { recursive: true });
  writeFileSync(join(dir, 'status'), '');
  const keyring = join('/usr/share/keyrings', release.keyring);
  const signedBy = existsSync(keyring) ? `[signed-by=${keyring}] ` : '';
  writeFileSync(join(dir, 'sources.list'), `deb ${signedBy}${uri} ${release.suite} ${release.components}\n`);
  const settings: Record<string, string> = {
    'Dir::State': dir,
    'Dir::State::lists': join(dir, 'lists'),
    'Dir::State::status': join(dir, 'status'),
    'Dir::Cache': dir,
    'Dir::Cache::archives': join(dir, 'archives'),
    'Dir::Etc::sourcelist': join(dir, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::Etc::preferences': '/dev/null',
    'Dir::Etc::preferencesparts': '/dev/null',
    'APT::Architecture': architecture,
    'APT::Architectures': architecture,
    // Else root's downloads are made by a user who may not be able to enter the folder.
    'APT::Sandbox::User': 'root',
    'Acquire::Languages': 'none',
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled': 'false',
    'Acquire::IndexTargets::deb::CNF::DefaultEnabled': 'false',
    'Acquire::Retries': '2',
    'Acquire::http::Timeout': '20',
    'Acquire::https::Timeout': '20',
  };
  // apt reads APT_CONFIG first, then apt.conf.d, then the main file: what must win stands in the main file.
  const main = join(dir, 'main.conf');
  const machine = existsSync('/etc/apt/apt.conf') ? ['#include "/etc/apt/apt.conf";'] : [];
  const cleared = ['APT::Architectures', 'APT::Update', 'DPkg'].map((name) => `#clear ${name};`);
  const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";`);
  writeFileSync(main, `${[...machine, ...cleared, ...lines].join('\n')}\n`);
  const first = join(dir, 'apt.conf');
  writeFileSync(first, `Dir::Etc::main "${main}";\n`);
  return first;
}
