import type { Containment, ContainmentReceipt, ReleaseReceipt } from '@flowstate/contracts';
import { connect, databaseUrl, redisUrl, type ConnectionOptions } from './connection.ts';
import { directOperator, onStores } from './direct-stores.ts';
import type { Terminal } from './terminal.ts';

/** Containments, whichever way they are reached. */
export type ContainAccess = {
  contain(subject: string, reason: string): Promise<ContainmentReceipt>;
  release(subject: string): Promise<ReleaseReceipt>;
  list(all: boolean): Promise<Containment[]>;
  close(): Promise<void>;
};

export type ContainOptions = ConnectionOptions & { direct?: boolean };

export function openContainAccess(options: ContainOptions, terminal: Terminal): Promise<ContainAccess> {
  return options.direct ? direct(terminal) : throughApi(options, terminal);
}

async function throughApi(options: ConnectionOptions, terminal: Terminal): Promise<ContainAccess> {
  const client = await connect(options, terminal);
  const path = '/api/admin/contain';
  return {
    contain: (subject, reason) => client.request('POST', path, { json: { subject, reason } }),
    release: (subject) => client.request('POST', `${path}/release`, { json: { subject } }),
    list: async (all) =>
      (await client.request<{ items: Containment[] }>('GET', `${path}?limit=200&all=${String(all)}`)).items,
    close: () => client.close(),
  };
}

/** Past the gateway: whoever has the stores' addresses needs no other permission. */
async function direct(terminal: Terminal): Promise<ContainAccess> {
  // Here and not above: the stores take longest to load, and the way through the gateway does without.
  const { openStores } = await import('@flowstate/security');
  const { listContainments } = await import('@flowstate/store');
  const stores = await openStores({ databaseUrl: await databaseUrl(terminal), redisUrl: await redisUrl(terminal) });
  const { sql, containments, redisProblem } = stores;
  if (redisProblem !== undefined) {
    terminal.stderr.write(
      `Redis cannot be reached (${redisProblem}): gateways learn of it from Postgres all the same.\n`,
    );
  }
  const by = directOperator();
  return {
    contain: (subject, reason) => onStores(() => containments.contain({ subject, reason, by })),
    release: (subject) => onStores(() => containments.release({ subject, by })),
    list: (all) => onStores(() => listContainments(sql, { all, limit: 200 })),
    close: () => stores.close(),
  };
}
