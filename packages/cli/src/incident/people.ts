import { isUuid, type AdminUser } from '@flowstate/contracts';
import { createSql, readUser } from '@flowstate/store';
import { connect, databaseUrl } from '../connection.ts';
import { CommandError } from '../terminal.ts';
import type { Capture } from './evidence.ts';
import type { TimelineEntry } from './evidence.ts';

const mostLookups = 200;

/** Ids of those who may be impacted: whom it is about, whose requests were refused, and to whom something was done. */
export function impactedIds(timeline: TimelineEntry[], userId: string | undefined): string[] {
  const ids = timeline.flatMap(({ source, who, to, outcome }) =>
    source === 'run' ? [] : [outcome === 'denied' ? who : null, to],
  );
  return [...new Set([userId, ...ids])].filter((id) => typeof id === 'string' && isUuid(id)) as string[];
}

/** Who the ids belong to, as `email (role) id`; ids of anything else are left out. */
export async function namesOf(ids: string[], capture: Capture): Promise<Map<string, string>> {
  if (ids.length > mostLookups) capture.miss('impacted users', `only the first ${mostLookups} ids were looked up`);
  const names = new Map<string, string>();
  const lookup = await openLookup(capture);
  try {
    for (const id of ids.slice(0, mostLookups)) {
      const user = await lookup.find(id);
      if (user !== null) names.set(id, `${user.email} (${user.role}) ${id}`);
    }
  } finally {
    await lookup.close();
  }
  return names;
}

type Found = { email: string; role: string } | null;

async function openLookup({
  options,
  terminal,
}: Capture): Promise<{ find(id: string): Promise<Found>; close(): Promise<void> }> {
  if (options.direct) {
    const sql = createSql(await databaseUrl(terminal), { name: 'flowstate-cli', max: 1 });
    return { find: (id) => readUser(sql, id), close: () => sql.end({ timeout: 1 }) };
  }
  const client = await connect(options, terminal);
  return {
    find: (id) =>
      client.request<AdminUser>('GET', `/api/admin/users/${id}`).catch((error: unknown) => {
        if (error instanceof CommandError && error.message.includes('(404)')) return null;
        throw error;
      }),
    close: () => client.close(),
  };
}
