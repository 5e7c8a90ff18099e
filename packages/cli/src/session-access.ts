import type { AdminSession, SessionReport } from '@flowstate/contracts';
import { connect, databaseUrl, redisUrl, type ConnectionOptions } from './connection.ts';
import { directOperator, onStores } from './direct-stores.ts';
import { CommandError, type Terminal } from './terminal.ts';

/** Everybody's sessions, whichever way they are reached. */
export type SessionAccess = {
  list(user: string | undefined, limit: number): Promise<AdminSession[]>;
  /** Ends one session. */
  revoke(id: string): Promise<void>;
  /** Ends all of a user; how many there were. */
  revokeUser(user: string): Promise<number>;
  verify(repair: boolean): Promise<SessionReport>;
  close(): Promise<void>;
};

export type SessionOptions = ConnectionOptions & { direct?: boolean };

export function openSessionAccess(options: SessionOptions, terminal: Terminal): Promise<SessionAccess> {
  return options.direct ? direct(terminal) : throughApi(options, terminal);
}

async function throughApi(options: ConnectionOptions, terminal: Terminal): Promise<SessionAccess> {
  const client = await connect(options, terminal);
  const path = (query: Record<string, string>) => `/api/admin/sessions?${new URLSearchParams(query).toString()}`;
  return {
    async list(user, limit) {
      const query = { limit: String(limit), ...(user !== undefined && { user }) };
      return (await client.request<{ items: AdminSession[] }>('GET', path(query))).items;
    },
    async revoke(id) {
      await client.request('DELETE', `/api/admin/sessions/${encodeURIComponent(id)}`);
    },
    revokeUser: async (user) => (await client.request<{ revoked: number }>('DELETE', path({ user }))).revoked,
    verify: (repair) => client.request('POST', `/api/admin/sessions/verify?repair=${String(repair)}`),
    close: () => client.close(),
  };
}

/** Past the gateway: whoever has the stores' addresses needs no other permission. */
async function direct(terminal: Terminal): Promise<SessionAccess> {
  // Here and not above: the stores take longest to load, and the way through the gateway does without.
  const { openStores } = await import('@flowstate/security');
  const stores = await openStores({ databaseUrl: await databaseUrl(terminal), redisUrl: await redisUrl(terminal) });
  const { sessions, redisProblem } = stores;
  const by = directOperator();
  if (redisProblem !== undefined) {
    terminal.stderr.write(
      `Redis cannot be reached (${redisProblem}): what is revoked counts once a gateway asks Postgres.\n`,
    );
  }
  return {
    list: (user, limit) =>
      onStores(async () =>
        (await sessions.list({ user, limit })).map((session) => ({
          ...session,
          createdAt: session.createdAt.toISOString(),
          lastSeenAt: session.lastSeenAt.toISOString(),
          expiresAt: session.expiresAt.toISOString(),
        })),
      ),
    revoke: (id) =>
      onStores(async () => {
        if ((await sessions.revoke(id, by)) === null) throw new CommandError(`There is no live session ${id}`);
      }),
    revokeUser: (user) => onStores(async () => (await sessions.revokeUser(user, by)).revoked),
    verify: (repair) => onStores(() => sessions.verify({ repair, by })),
    close: () => stores.close(),
  };
}
