import { FlowstateError, type KillKeyAnswer, type SigningKeyReport } from '@flowstate/contracts';
import { insertAudit, killKey, readKeys, type Db, type KeyHolder, type KeyRecord, type Sql } from '@flowstate/store';
import { toAuditRow } from './audit-row.ts';
import { gatewayLivesMs, judgeKey } from './signing-key-verdict.ts';

/** Every signing key on record with who holds it and whether it may be retired, newest first. */
export async function readSigningKeys(sql: Db): Promise<SigningKeyReport> {
  return judgeKeys(await readKeys(sql));
}

/** The same from rows that were read. */
export function judgeKeys({
  now,
  keys,
  holders,
}: {
  now: Date;
  keys: readonly KeyRecord[];
  holders: readonly KeyHolder[];
}): SigningKeyReport {
  const isLive = ({ seenAt }: KeyHolder) => now.getTime() - seenAt.getTime() < gatewayLivesMs;
  const live = new Set(holders.filter(isLive).map(({ gateway }) => gateway));
  return {
    gateways: live.size,
    items: keys.map((key) => {
      const own = holders.filter(({ kid }) => kid === key.kid);
      return {
        kid: key.kid,
        gateways: own.map((holder) => ({
          name: holder.name,
          signs: holder.signs,
          live: live.has(holder.gateway),
          seenAt: holder.seenAt.toISOString(),
        })),
        verifiedRecently: own.filter(isLive).reduce((sum, { verifiedRecently }) => sum + verifiedRecently, 0),
        lastVerifiedAt: key.lastVerifiedAt?.toISOString() ?? null,
        lastSignedAt: key.lastSignedAt?.toISOString() ?? null,
        killedAt: key.killedAt?.toISOString() ?? null,
        ...judgeKey(key, { now, live, holders: own }),
      };
    }),
  };
}

/**
 * Ends a key for good: every gateway refuses its tokens within a second, also after a restart. Throws `not_found` for
 * a key no gateway ever held, `conflict` when no live gateway could sign any more and `force` is not given.
 */
export async function killSigningKey(
  sql: Db,
  { kid, reason, by, force }: { kid: string; reason: string; by: string | null; force: boolean },
): Promise<KillKeyAnswer> {
  const { items } = await readSigningKeys(sql);
  const key = items.find((item) => item.kid === kid);
  if (key === undefined) throw new FlowstateError('not_found', `No gateway has ever held a key ${kid}`);
  const signersOf = (item: typeof key) => item.gateways.filter(({ live, signs }) => live && signs);
  const disabled = signersOf(key).map(({ name }) => name);
  const others = items.filter((item) => item.kid !== kid && item.state !== 'killed');
  if (disabled.length > 0 && !force && others.every((item) => signersOf(item).length === 0)) {
    throw new FlowstateError(
      'conflict',
      `All live gateways sign with ${kid} (${disabled.join(', ')}). Killed, every token they handed out is refused, ` +
        'they answer logins and refreshes with 503 and are not ready until each is restarted with another JWT_SECRET; ' +
        'sessions stay and their refresh tokens work from then on. Rotate first, or force it',
    );
  }
  const killedAt = await killKey(sql, { kid, reason, by });
  return { kid, killedAt: killedAt.toISOString(), disabled };
}

/** The same for somebody with the database's address and no login; recorded in the audit log with the kill itself. */
export async function killSigningKeyDirectly(
  sql: Sql,
  { kid, reason, force }: { kid: string; reason: string; force: boolean },
): Promise<KillKeyAnswer> {
  return sql.begin(async (tx) => {
    const answer = await killSigningKey(tx, { kid, reason, by: null, force });
    const details = { reason, force, disabled: answer.disabled, direct: true };
    const entry = { action: 'signing-key.kill', actor: null, subject: kid, outcome: 'success', details } as const;
    await insertAudit(tx, [toAuditRow(entry)]);
    return answer;
  });
}
