import type { AuditRecord } from '@flowstate/contracts';
import { createAuditAccess } from '../audit-access.ts';
import type { ConnectionOptions } from '../connection.ts';
import { formatTable } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { textLines } from '../text-lines.ts';
import type { Verdict } from './verdict.ts';

type Details = { reason?: string; repeated?: number };

/** Of one reason so many are named. */
const mostAddresses = 3;

/**
 * The `Authentication failed` events of the audit log. Bad are more than `atMost` within one minute, and any session
 * mismatch or reuse of a refresh token: those are no slips of a tired user.
 */
export async function checkAuthFailures(
  options: ConnectionOptions & { direct?: boolean },
  { sinceSeconds, atMost }: { sinceSeconds: number; atMost: number },
  terminal: Terminal,
): Promise<Verdict> {
  const from = new Date(Date.now() - sinceSeconds * 1_000).toISOString();
  const byReason = new Map<string, number>();
  const addressesOf = new Map<string, Map<string, number>>();
  const byMinute = new Map<string, number>();
  const add = (sums: Map<string, number>, group: string, n: number) => sums.set(group, (sums.get(group) ?? 0) + n);
  for await (const { at, details, personal } of entries({ action: 'auth.failed', from }, options, terminal)) {
    const { reason = 'unknown', repeated = 1 } = (details ?? {}) as Details;
    const { address } = (personal ?? {}) as { address?: string };
    add(byReason, reason, repeated);
    const addresses = addressesOf.get(reason) ?? new Map<string, number>();
    addressesOf.set(reason, addresses);
    if (address !== undefined) add(addresses, address, repeated);
    add(byMinute, at.slice(0, 16), repeated);
  }
  const total = [...byReason.values()].reduce((sum, n) => sum + n, 0);
  const worst = mostFirst(byMinute)[0];
  const telling = ['session_mismatch', 'refresh_reused'].filter((reason) => byReason.has(reason));
  const many = worst !== undefined && worst[1] > atMost;
  return {
    ok: !many && telling.length === 0,
    summary:
      `${total} failed authentications since ${from}` +
      (worst === undefined
        ? ''
        : `, at most ${worst[1]} in a minute (${worst[0]}Z; more than ${atMost} are too many)`) +
      (telling.length === 0 ? '' : `; SUSPICIOUS: ${telling.join(', ')}`),
    evidence:
      total === 0
        ? ''
        : formatTable(
            ['REASON', 'FAILURES', 'FROM'],
            mostFirst(byReason).map(([reason, n]) => [reason, String(n), shortList(addressesOf.get(reason))]),
          ),
  };
}

const mostFirst = (counts: Map<string, number>) => [...counts].toSorted(([, a], [, b]) => b - a);

/** The addresses most failures came from; what was erased is not there. */
function shortList(addresses = new Map<string, number>()): string {
  const named = mostFirst(addresses)
    .slice(0, mostAddresses)
    .map(([address, n]) => `${address} (${n})`);
  const more = addresses.size - named.length;
  return [...named, ...(more > 0 ? [`${more} more`] : [])].join(', ');
}

async function* entries(
  filter: Record<string, string>,
  options: ConnectionOptions & { direct?: boolean },
  terminal: Terminal,
): AsyncGenerator<AuditRecord> {
  const access = await createAuditAccess(options, terminal);
  try {
    for await (const line of textLines(access.export(filter))) yield JSON.parse(line) as AuditRecord;
  } finally {
    await access.close();
  }
}
