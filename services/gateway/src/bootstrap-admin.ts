import { setTimeout as wait } from 'node:timers/promises';
import { invalidInput } from '@flowstate/contracts';
import type { Logger } from '@flowstate/runtime';
import { createFirstAdmin } from '@flowstate/security';
import { isDatabaseOutage, type Sql } from '@flowstate/store';
import type { GatewayConfig } from './config.ts';

type Settings = Pick<GatewayConfig, 'BOOTSTRAP_ADMIN_EMAIL' | 'BOOTSTRAP_ADMIN_PASSWORD'>;

/**
 * Makes the first administrator where the environment names one and there is none. Once there is, the settings do
 * nothing any more, and it says so. A Postgres that is away is tried again: the gateway need not wait for it.
 */
export function bootstrapAdmin(
  { BOOTSTRAP_ADMIN_EMAIL: email, BOOTSTRAP_ADMIN_PASSWORD: password }: Settings,
  { sql, log }: { sql: Sql; log: Logger },
): { stop(): Promise<void> } {
  if (email === undefined && password === undefined) return { stop: async () => {} };
  if (email === undefined || password === undefined) {
    const field = email === undefined ? 'BOOTSTRAP_ADMIN_EMAIL' : 'BOOTSTRAP_ADMIN_PASSWORD_FILE';
    throw invalidInput([{ field, message: 'is required: the first administrator needs both' }]);
  }
  const stopped = new AbortController();

  async function make(credentials: { email: string; password: string }): Promise<void> {
    while (!stopped.signal.aborted) {
      try {
        const made = await createFirstAdmin(sql, {
          ...credentials,
          name: 'Administrator',
          by: { id: null, details: { bootstrap: true } },
        });
        if (made === null) log.info('there is an administrator: BOOTSTRAP_ADMIN_EMAIL does nothing and can be removed');
        else log.warn({ userId: made.id }, 'first administrator made from BOOTSTRAP_ADMIN_EMAIL');
        return;
      } catch (err) {
        if (!isDatabaseOutage(err)) {
          log.error({ err }, 'the first administrator could not be made');
          return;
        }
        await wait(1_000, undefined, { signal: stopped.signal }).catch(() => {});
      }
    }
  }
  const making = make({ email, password });
  return {
    stop() {
      stopped.abort();
      return making;
    },
  };
}
