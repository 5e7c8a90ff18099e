import { createHash } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { FlowstateError } from '@flowstate/contracts';
import type { Redis } from 'ioredis';

export type RedisUser = {
  user: string;
  passwords: number;
  /** Connections logged in as this user; Redis does not say by which password. */
  connections: number;
  /** Is a change of users written where a restart of Redis finds it again? */
  persistence: 'aclfile' | 'config file' | 'none';
};

export type Retired = { closed: number; back: number; persisted: boolean };

const hashOf = (password: string) => createHash('sha256').update(password).digest('hex');

/** How many passwords a user of Redis has and who is logged in as it. Throws `not_found`. */
export async function readRedisUser(redis: Redis, user: string): Promise<RedisUser> {
  const [passwords, connections, aclfile, config] = await Promise.all([
    hashesOf(redis, user),
    connectionsOf(redis, user),
    setting(redis, 'aclfile'),
    redis.info('server').then((info) => /^config_file:(.+)$/m.exec(info)?.[1]?.trim() ?? ''),
  ]);
  const persistence = aclfile !== '' ? 'aclfile' : config !== '' ? 'config file' : 'none';
  return { user, passwords: passwords.length, connections: connections.length, persistence };
}

/** From now on both passwords log in. Resolves with whether a restart of Redis will know it. */
export async function addRedisPassword(redis: Redis, user: string, password: string): Promise<{ persisted: boolean }> {
  await hashesOf(redis, user);
  await refusing(redis.acl('SETUSER', user, `>${password}`));
  return { persisted: await persist(redis, user) };
}

type RetireOptions = {
  user: string;
  /** The one that stays. */
  password: string;
  /** Somebody left behind tries again within this time; ours do several times a second. */
  watchMs?: number;
};

/**
 * Leaves a user one password and makes sure that nobody lives on another. Redis keeps connections that logged in with
 * a password it has forgotten, and tells nobody which one that was; so all of the user's connections are closed. Who
 * has the new password is back at once. Who has not is refused, which `ACL LOG` tells with the address: then the old
 * passwords are put back, nothing was lost but a reconnect, and this throws `conflict` naming them.
 */
export async function retireRedisPasswords(
  redis: Redis,
  { user, password, watchMs = 5_000 }: RetireOptions,
): Promise<Retired> {
  const kept = hashOf(password);
  const hashes = await hashesOf(redis, user);
  if (!hashes.includes(kept)) {
    throw new FlowstateError('conflict', `The new password is not among those of ${user}: add it first`);
  }
  const old = hashes.filter((hash) => hash !== kept);
  const before = await refusals(redis, user);
  if (old.length > 0) await refusing(redis.acl('SETUSER', user, ...old.map((hash) => `!${hash}`)));
  let left: string[] = [];
  let closed = 0;
  try {
    closed = Number(await redis.call('CLIENT', 'KILL', 'USER', user, 'SKIPME', 'yes'));
    for (const until = performance.now() + watchMs; left.length === 0 && performance.now() < until;) {
      await wait(100);
      left = newRefusals(before, await refusals(redis, user));
    }
  } catch (cause) {
    await putBack(redis, user, old);
    throw new FlowstateError('unavailable', `Redis failed; the old passwords of ${user} are back`, { cause });
  }
  if (left.length > 0) {
    await putBack(redis, user, old);
    throw new FlowstateError(
      'conflict',
      `Still logging in with an old password of ${user}: ${left.join(', ')}. The old passwords are back; restart these ` +
        'with the new one and retire again',
    );
  }
  const back = (await connectionsOf(redis, user)).length;
  return { closed, back, persisted: await persist(redis, user) };
}

async function putBack(redis: Redis, user: string, hashes: string[]): Promise<void> {
  if (hashes.length > 0) await redis.acl('SETUSER', user, ...hashes.map((hash) => `#${hash}`));
}

/** SHA-256 of the user's passwords, as Redis keeps them. */
async function hashesOf(redis: Redis, user: string): Promise<string[]> {
  const described = (await refusing(redis.acl('GETUSER', user))) as unknown[] | null;
  if (described === null) throw new FlowstateError('not_found', `Redis has no user ${user}`);
  return described[described.indexOf('passwords') + 1] as string[];
}

async function connectionsOf(redis: Redis, user: string): Promise<string[]> {
  const [own, list] = await Promise.all([redis.client('ID'), redis.client('LIST')]);
  const lines = String(list).trim().split('\n');
  return lines.filter((line) => line.includes(` user=${user} `) && !line.startsWith(`id=${String(own)} `));
}

/** Failed logins as this user, by address of who tried: how often. */
async function refusals(redis: Redis, user: string): Promise<Map<string, number>> {
  const entries = (await redis.acl('LOG', 128)) as unknown[][];
  const found = new Map<string, number>();
  for (const entry of entries) {
    const value = (name: string) => String(entry[entry.indexOf(name) + 1]);
    if (value('reason') !== 'auth' || value('username') !== user) continue;
    const client = value('client-info');
    const address = / addr=(\S+)/.exec(client)?.[1]?.replace(/:\d+$/, '') ?? 'unknown';
    const name = / name=(\S+)/.exec(client)?.[1];
    const who = name === undefined ? address : `${address} (${name})`;
    found.set(who, (found.get(who) ?? 0) + Number(value('count')));
  }
  return found;
}

function newRefusals(before: Map<string, number>, now: Map<string, number>): string[] {
  return [...now].filter(([who, count]) => count > (before.get(who) ?? 0)).map(([who]) => who);
}

/** Writes users where a restart of Redis reads them; false where it was started without such a file. */
async function persist(redis: Redis, user: string): Promise<boolean> {
  const { persistence } = await readRedisUser(redis, user);
  if (persistence === 'aclfile') await refusing(redis.acl('SAVE'));
  else if (persistence === 'config file') await refusing(redis.config('REWRITE'));
  return persistence !== 'none';
}

async function setting(redis: Redis, name: string): Promise<string> {
  const [, value = ''] = await refusing<unknown>(redis.config('GET', name)).then((answer) => answer as string[]);
  return value;
}

/** Managed servers forbid these commands, and most users may not use them. */
async function refusing<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    const { message } = cause as Error;
    if (!/NOPERM|unknown (sub)?command/i.test(message)) throw cause;
    throw new FlowstateError('forbidden', `This login of Redis may not administer users: ${message}`, { cause });
  }
}
