import { hostname } from 'node:os';
import type { PolicyWatch } from '@flowstate/security';
import { acknowledgeContainment, endGateway, registerGateway, touchGateway, type Sql } from '@flowstate/store';
import type { OpenStreams } from './open-streams.ts';

export type Obedience = {
  /** The number this process goes by; undefined before it is registered. */
  id(): number | undefined;
  /** Says that this process is gone. */
  stop(): Promise<void>;
};

const touchEveryMs = 1_000;

/**
 * This process among the gateways, for whoever contains a user: that it is there, and, each time the policy applied here
 * names a new containment, that it obeys it and has closed its subject's streams.
 */
export function createObedience({
  sql,
  policy,
  streams,
  onError,
}: {
  sql: Sql;
  policy: PolicyWatch;
  streams: Pick<OpenStreams, 'closeOf'>;
  onError: (error: unknown) => void;
}): Obedience {
  /** Streams closed for each containment in force. */
  const closed = new Map<string, number>();
  const acknowledged = new Set<string>();
  let id: number | undefined;
  let touchedAt = 0;
  let busy: Promise<void> | undefined;
  let again = false;

  async function obey(): Promise<void> {
    id ??= await registerGateway(sql, { host: hostname(), pid: process.pid });
    for (const [containmentId, streams] of closed) {
      if (acknowledged.has(containmentId)) continue;
      await acknowledgeContainment(sql, { containmentId, gatewayId: id, streams });
      acknowledged.add(containmentId);
    }
    if (performance.now() - touchedAt < touchEveryMs) return;
    touchedAt = performance.now();
    await touchGateway(sql, id);
  }

  function closeStreams(): void {
    const contained = policy.contained();
    for (const { id: containmentId, userId } of contained) {
      if (!closed.has(containmentId)) closed.set(containmentId, streams.closeOf(userId));
    }
    for (const known of closed.keys()) {
      if (contained.some((open) => open.id === known)) continue;
      closed.delete(known);
      acknowledged.delete(known);
    }
  }

  async function obeyAll(): Promise<void> {
    do {
      again = false;
      await obey();
    } while (again);
  }

  const unsubscribe = policy.onApplied(() => {
    closeStreams();
    again = true;
    // What fails is tried again when the policy is read next, a quarter of a second later.
    busy ??= obeyAll()
      .catch(onError)
      .finally(() => (busy = undefined));
  });

  return {
    id: () => id,
    async stop() {
      unsubscribe();
      await busy;
      if (id !== undefined) await endGateway(sql, id).catch(onError);
    },
  };
}
