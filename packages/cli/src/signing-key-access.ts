import type { KillKeyAnswer, SigningKeyReport } from '@flowstate/contracts';
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
async function direct(url: string): Promise<SigningKeyAccess> {
  // Here and not above: the stores take longest to load, and the way through the gateway does without.
  const { killSigningKeyDirectly, readSigningKeys } = await import('@flowstate/security');
  const { createSql } = await import('@flowstate/store');
  const sql = createSql(url, { name: 'flowstate-cli', max: 2 });
  return {
    status: () => onStores(() => readSigningKeys(sql)),
    kill: (kid, options) => onStores(() => killSigningKeyDirectly(sql, { kid, ...options })),
    close: () => sql.end({ timeout: 1 }),
  };
}
