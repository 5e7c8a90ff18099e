import type { RoleOwner } from '@flowstate/contracts';
import { databaseUrl, connect, type ConnectionOptions } from '../connection.ts';
import { onStores } from '../direct-stores.ts';
import type { Terminal } from '../terminal.ts';

/** Who answers for each role, from the gateway or, with `direct`, from Postgres. */
export async function openOwners(
  options: ConnectionOptions & { direct?: boolean },
  terminal: Terminal,
): Promise<RoleOwner[]> {
  if (!options.direct) {
    const client = await connect(options, terminal);
    try {
      return (await client.request<{ items: RoleOwner[] }>('GET', '/api/admin/access/owners')).items;
    } finally {
      await client.close();
    }
  }
  // Here and not above: the store takes longest to load, and the way through the gateway does without.
  const { createSql, listRoleOwners } = await import('@flowstate/store');
  const sql = createSql(await databaseUrl(terminal), { name: 'flowstate-cli', max: 1 });
  try {
    return await onStores(() => listRoleOwners(sql));
  } finally {
    await sql.end({ timeout: 1 });
  }
}
