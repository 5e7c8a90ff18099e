import type { ConnectionOptions } from '../connection.ts';
import { openOwners } from '../incident/owners.ts';
import { formatTable } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import type { Verdict } from './verdict.ts';

/** Is somebody in the business named for every role, with a way to reach them? */
export async function checkOwners(
  options: ConnectionOptions & { direct?: boolean },
  terminal: Terminal,
): Promise<Verdict> {
  const owners = await openOwners(options, terminal);
  const without = owners.filter(({ owner, contact }) => owner === null || contact === null);
  return {
    ok: without.length === 0,
    summary:
      without.length === 0
        ? `all ${owners.length} roles have an owner with a contact`
        : `no owner or no contact: ${without.map(({ role }) => role).join(', ')} (flowstate access owners <role> --owner … --contact …)`,
    evidence: formatTable(
      ['ROLE', 'OWNER', 'CONTACT'],
      owners.map(({ role, owner, contact }) => [role, owner ?? 'nobody yet', shownContact(contact)]),
    ),
  };
}

/** A webhook's path is often its password: the host says enough. */
export function shownContact(contact: string | null): string {
  if (contact === null) return 'none';
  return /^https?:/.test(contact) && URL.canParse(contact) ? `webhook at ${new URL(contact).host}` : contact;
}
