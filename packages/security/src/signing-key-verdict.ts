import { accessTokenSeconds, type SigningKeyInfo } from '@flowstate/contracts';
import type { KeyHolder, KeyRecord } from '@flowstate/store';

/** A gateway tells of itself every second; one that was not heard of for so long is dead, or cut off from Postgres. */
export const gatewayLivesMs = 10_000;
/** Clocks differ, and what was signed in a killed gateway's last second was not told. */
const marginMs = 35_000;

type Verdict = Pick<SigningKeyInfo, 'state' | 'tokensUntil' | 'safeToSign' | 'safeToRetire' | 'verdict' | 'why'>;

export type Fleet = {
  now: Date;
  /** Ids of all live gateways. */
  live: ReadonlySet<string>;
  /** Rows of this key, of dead gateways too. */
  holders: readonly KeyHolder[];
};

/** May this key be signed with, may it be retired, and if not, why not. */
export function judgeKey(key: KeyRecord, { now, live, holders }: Fleet): Verdict {
  const held = holders.filter(({ gateway }) => live.has(gateway));
  const signers = held.filter(({ signs }) => signs);
  const silent = holders.filter(({ gateway, signs }) => signs && !live.has(gateway));
  const until = lastToken(key, silent);
  const tokensLive = until !== null && until.getTime() > now.getTime();
  const missing = live.size - held.length;
  const verdict = (
    state: Verdict['state'],
    safe: Partial<Pick<Verdict, 'safeToSign' | 'safeToRetire'>>,
    text: string,
    why: string[] = [],
  ): Verdict => ({
    state,
    tokensUntil: until?.toISOString() ?? null,
    safeToSign: false,
    safeToRetire: false,
    ...safe,
    verdict: text,
    why,
  });

  if (key.killedAt !== null) {
    const why = [
      `killed ${key.killedAt.toISOString()} (${key.killReason}): its tokens are refused everywhere`,
      ...(signers.length > 0
        ? [`${names(signers)}: still configured to sign with it: no logins there until restarted with another key`]
        : []),
    ];
    return verdict('killed', { safeToRetire: signers.length === 0 }, 'killed', why);
  }
  if (signers.length > 0) {
    const why = [`${signers.length} of ${live.size} gateways sign with it: ${names(signers)}`];
    if (missing > 0) why.push(`${missing} of ${live.size} gateways do not hold it and refuse its tokens`);
    return verdict('signing', { safeToSign: missing === 0 }, 'not safe to retire', why);
  }
  if (held.length === 0) {
    const why = tokensLive ? [`retired too early: tokens good until ${until.toISOString()} are refused`] : [];
    return verdict('unheld', { safeToRetire: true }, tokensLive ? 'retired too early' : 'retired', why);
  }
  const safeToSign = missing === 0;
  if (until === null) {
    const why = ['the next key: nothing was signed with it yet'];
    if (!safeToSign) why.push(`${missing} of ${live.size} gateways do not hold it yet and would refuse its tokens`);
    return verdict('verify-only', { safeToSign }, safeToSign ? 'safe to sign with' : 'not safe to sign with', why);
  }
  if (tokensLive) {
    const why = [`tokens signed with it are good until ${until.toISOString()}`];
    for (const { name, seenAt } of silent) why.push(`${name} died at ${seenAt.toISOString()} while it signed with it`);
    return verdict('verify-only', { safeToSign }, 'not safe to retire', why);
  }
  const why = [`the last token signed with it expired ${until.toISOString()}`];
  if (key.lastVerifiedAt !== null && key.lastVerifiedAt > until) {
    why.push(`yet one was accepted ${key.lastVerifiedAt.toISOString()}: somebody else signs with it: kill it`);
  }
  return verdict('verify-only', { safeToSign, safeToRetire: true }, 'safe to retire', why);
}

/** When the last token that may have been signed with it ends; null when none was. */
function lastToken({ lastExpiry }: KeyRecord, silent: readonly KeyHolder[]): Date | null {
  const ends = silent.map(({ seenAt }) => seenAt.getTime() + accessTokenSeconds * 1000);
  if (lastExpiry !== null) ends.push(lastExpiry.getTime());
  return ends.length === 0 ? null : new Date(Math.max(...ends) + marginMs);
}

const names = (holders: readonly KeyHolder[]) => holders.map(({ name }) => name).join(', ');
