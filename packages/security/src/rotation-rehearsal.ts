import { FlowstateError } from '@flowstate/contracts';
import {
  insertRehearsal,
  readKeys,
  type KeyHolder,
  type Rehearsal,
  type RehearsalCheck,
  type Sql,
} from '@flowstate/store';
import type { Redis } from 'ioredis';
import { serversOf } from './direct-redis.ts';
import { readRedisUser } from './redis-passwords.ts';
import { readSecretAges } from './secret-ages.ts';
import { gatewayLivesMs } from './signing-key-verdict.ts';
import { judgeKeys } from './signing-keys.ts';

type Options = {
  sql: Sql;
  /** Connections as the services have them, by the instance's name. */
  redis: Readonly<Record<string, Redis>>;
  /** Who asked for it; null: the schedule. */
  by: string | null;
};

/** A gateway asks for the policy four times a second; a kill must reach it within one. */
const obeysWithinMs = 1_000;

/**
 * Would a rotation go through now? Looks at everything one depends on, on the live system, and changes nothing but
 * the record of its verdict.
 */
export async function rehearseRotation({ sql, redis, by }: Options): Promise<Rehearsal> {
  const [keys, age, ...stores] = await Promise.all([
    keyChecks(sql),
    ageCheck(sql),
    ...Object.entries(redis).map(([name, client]) => redisCheck(name, client)),
  ]);
  return insertRehearsal(sql, { by, checks: [...keys, age, ...stores] });
}

async function keyChecks(sql: Sql): Promise<RehearsalCheck[]> {
  const rows = await readKeys(sql);
  const { gateways, items } = judgeKeys(rows);
  const live = rows.holders.filter(({ seenAt }) => rows.now.getTime() - seenAt.getTime() < gatewayLivesMs);
  const signing = items.filter(({ gateways: of }) => of.some((gateway) => gateway.live && gateway.signs));
  const unknown = signing.filter(({ safeToSign }) => !safeToSign);
  const left = items.filter(({ state, safeToRetire }) => state === 'verify-only' && safeToRetire);
  const dead = signing.filter(({ state }) => state === 'killed');
  const late = live.filter(({ seenAt, policyAt }) => seenAt.getTime() - policyAt.getTime() > obeysWithinMs);
  const kids = (found: { kid: string }[]) => found.map(({ kid }) => kid).join(', ');
  return [
    check('gateways tell of their keys', gateways > 0, `${gateways} live`),
    check(
      'one key signs',
      signing.length === 1,
      signing.length < 2 ? kids(signing) || 'none' : `a rotation is under way: ${kids(signing)}`,
    ),
    check(
      'every gateway accepts what another signs',
      unknown.length === 0,
      unknown.length === 0 ? `${signing.length} of ${signing.length} signing keys are held by all` : kids(unknown),
    ),
    check('no killed key signs', dead.length === 0, kids(dead) || 'none'),
    check(
      'a kill reaches every gateway within a second',
      late.length === 0,
      late.length === 0
        ? `policy read ${oldest(live)} ms ago at most`
        : `late: ${late.map(({ name }) => name).join(', ')}`,
    ),
    check(
      'the last rotation is finished',
      left.length === 0,
      left.length === 0 ? 'no key is left over' : `retire ${kids(left)}`,
    ),
  ];
}

function oldest(live: readonly KeyHolder[]): number {
  return Math.max(0, ...live.map(({ seenAt, policyAt }) => seenAt.getTime() - policyAt.getTime()));
}

async function ageCheck(sql: Sql): Promise<RehearsalCheck> {
  const ages = await readSecretAges(sql);
  const over = ages.filter(({ state }) => state === 'over-age').map(({ name }) => name);
  const unset = ages.filter(({ state }) => state === 'unset').map(({ name }) => name);
  const seen = `${ages.length - unset.length} secrets within their age${unset.length > 0 ? `, not set: ${unset.join(', ')}` : ''}`;
  return check('no secret is over age', over.length === 0, over.length === 0 ? seen : over.join(', '));
}

async function redisCheck(name: string, redis: Redis): Promise<RehearsalCheck> {
  const title = `password of Redis (${name})`;
  try {
    const user = await redis.acl('WHOAMI');
    // Each server of a cluster has users of its own.
    const each = await Promise.all(serversOf(redis).map((server) => readRedisUser(server, user)));
    const passwords = Math.max(...each.map((found) => found.passwords));
    const [persistence] = each.map((found) => found.persistence).toSorted((a, b) => b.localeCompare(a));
    if (passwords > 1) return check(title, false, `${user} has ${passwords}: retire the old ones`);
    if (passwords === 0) return check(title, false, `${user} needs none`);
    return check(title, true, `${user} has one, persisted in: ${persistence}`);
  } catch (error) {
    // A login that may not look at users is a good one; the command then needs an administrator's.
    if (error instanceof FlowstateError && error.code === 'forbidden') {
      return check(title, true, 'this login may not see it: rotate with REDIS_ADMIN_URL');
    }
    return check(title, false, (error as Error).message);
  }
}

function check(name: string, ok: boolean, evidence: string): RehearsalCheck {
  return { name, ok, evidence };
}
