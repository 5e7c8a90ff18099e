import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { createGatewayClient, type Credentials, type GatewayClient } from './gateway-client.ts';
import { CommandError, exitCodes, type Terminal } from './terminal.ts';

export type ConnectionOptions = { url?: string; email?: string; passwordFile?: string };

const defaultUrl = 'http://127.0.0.1:3001';
const demoEmail = 'admin@flowstate.local';

/**
 * The gateway to talk to and as whom: options win over the environment, which wins over what `npm start` wrote in this
 * clone. The clone's demo password is only ever sent to the clone's own gateway.
 */
export async function connect(options: ConnectionOptions, terminal: Terminal): Promise<GatewayClient> {
  const { env } = terminal;
  const local = await readLocalEnv(terminal.localEnvFile);
  const url = parseUrl(options.url ?? env.FLOWSTATE_URL ?? local.GATEWAY_URL ?? defaultUrl);
  return createGatewayClient(url, await credentials(options, env, isSameOrigin(url, local.GATEWAY_URL) ? local : {}), {
    signal: terminal.signal,
  });
}

/** Does a command's work on a connection of its own. */
export async function withClient(
  command: Command,
  terminal: Terminal,
  work: (client: GatewayClient) => Promise<void>,
): Promise<void> {
  const client = await connect(command.optsWithGlobals<ConnectionOptions>(), terminal);
  try {
    await work(client);
  } finally {
    await client.close();
  }
}

/** Postgres' address, for commands that go past the gateway: DATABASE_URL, or the one `npm start` wrote. */
export async function databaseUrl(terminal: Terminal): Promise<string> {
  const url = await setting(terminal, 'DATABASE_URL');
  if (url !== undefined) return url;
  throw new CommandError('DATABASE_URL, the address of Postgres, is needed for that.', exitCodes.usage);
}

/** A setting by its name: the environment, a file that `NAME_FILE` names, or what `npm start` wrote. */
export async function setting({ env, localEnvFile }: Terminal, name: string): Promise<string | undefined> {
  const file = env[`${name}_FILE`];
  if (env[name]) return env[name];
  if (!file) return (await readLocalEnv(localEnvFile))[name] || undefined;
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    throw new CommandError(`${name}_FILE cannot be read: ${(error as Error).message}`, exitCodes.usage);
  }
}

/** The gateway's address, for what needs no login. */
export async function gatewayUrl(options: ConnectionOptions, { env, localEnvFile }: Terminal): Promise<URL> {
  return parseUrl(options.url ?? env.FLOWSTATE_URL ?? (await readLocalEnv(localEnvFile)).GATEWAY_URL ?? defaultUrl);
}

/** Redis' address, by the same rule. */
export async function redisUrl(terminal: Terminal): Promise<string> {
  const url = await setting(terminal, 'REDIS_URL');
  if (url !== undefined) return url;
  throw new CommandError(
    '--direct needs REDIS_URL, the address of the Redis with the session copies.',
    exitCodes.usage,
  );
}

async function credentials(
  { email: emailOption, passwordFile }: ConnectionOptions,
  env: NodeJS.ProcessEnv,
  local: Record<string, string>,
): Promise<Credentials> {
  // A token of the environment stands for a whole login; who names another login means that one.
  if (env.FLOWSTATE_TOKEN && emailOption === undefined) return { token: env.FLOWSTATE_TOKEN };
  const email = emailOption ?? env.FLOWSTATE_EMAIL ?? (local.DEMO_PASSWORD && demoEmail);
  const password =
    passwordFile === undefined ? (env.FLOWSTATE_PASSWORD ?? local.DEMO_PASSWORD) : await readPassword(passwordFile);
  if (email && password) return { email, password };
  throw new CommandError(
    `No login: give ${email ? '' : '--email and '}--password-file, or set ` +
      'FLOWSTATE_EMAIL and FLOWSTATE_PASSWORD, or FLOWSTATE_TOKEN.',
    exitCodes.usage,
  );
}

function parseUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new CommandError(
      `--url must be an address such as ${defaultUrl}, not ${JSON.stringify(text)}`,
      exitCodes.usage,
    );
  }
  return url;
}

function isSameOrigin(url: URL, other: string | undefined): boolean {
  return other !== undefined && URL.parse(other)?.origin === url.origin;
}

/** A file with nothing but a password. */
export async function readPassword(file: string): Promise<string> {
  try {
    // An editor ends the last line; no password does.
    return (await readFile(file, 'utf8')).replace(/\r?\n$/, '');
  } catch (error) {
    throw new CommandError(`--password-file: ${(error as Error).message}`, exitCodes.usage);
  }
}

/** `KEY=value` lines as they stand; nothing when the clone was never started. */
export async function readLocalEnv(file: string): Promise<Record<string, string>> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const pairs = text.split('\n').flatMap((line) => {
    const [, name, value] = /^([A-Z_]+)=(.*)$/.exec(line) ?? [];
    return name === undefined || value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(pairs);
}
