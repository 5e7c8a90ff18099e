import type { KillKeyAnswer, SigningKeyReport } from '@flowstate/contracts';
import { killSigningKeyDirectly, readSigningKeys } from '@flowstate/security';
import { createSql } from '@flowstate/store';
import { connect, databaseUrl, type ConnectionOptions } from './connection.ts';
import { onStores } from './direct-stores.ts';
import type { Terminal } from './terminal.ts';

/** The keys that sign tokens, whichever way they are reached. */
export type SigningKeyAccess = {
  status(): Promise<SigningKeyReport>;
  kill(kid: string, options: { reason: string; force: boolean }): Promise<KillKeyAnswer>;
  close(): Promise<void>;
};

export type SigningKeyOptions = ConnectionOptions & { direct?: boolean };

export async function openSigningKeys(options: SigningKeyOptions, terminal: Terminal): Promise<SigningKeyAccess> {
  if (options.direct) return direct(await databaseUrl(terminal));
  const client = await connect(options, terminal);
  const path = '/api/admin/signing-keys';
  return {
    status: () => client.request('GET', path),
    kill: (kid, json) => client.request('POST', `${path}/${encodeURIComponent(kid)}/kill`, { json }),
    close: () => client.close(),
  };
}

/** Past the gateway: when all of them are down, or a killed key lets nobody log in. */
function direct(url: string): SigningKeyAccess {
  const sql = createSql(url, { name: 'flowstate-cli', max: 2 });
  return {
    status: () => onStores(() => readSigningKeys(sql)),
    kill: (kid, options) => onStores(() => killSigningKeyDirectly(sql, { kid, ...options })),
    close: () => sql.end({ timeout: 1 }),
  };
}
