import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from '@flowstate/runtime';
import { secretFingerprint } from '@flowstate/security';
import { noteSecretValues, readSecretSalts, type Sql } from '@flowstate/store';

/** A third of the time for which a value told counts as in use. */
const everyMs = 60_000;
const againMs = 5_000;
const stopWithinMs = 2_000;

type Options = { sql: Sql; secrets: ReadonlyMap<string, string>; log: Logger };

/** Tells Postgres which values of the secrets are in use, by fingerprint, so that their age is known. */
export function reportSecrets({ sql, secrets, log }: Options): { stop(): Promise<void> } {
  const stopped = new AbortController();

  async function fingerprints(): Promise<{ name: string; fingerprint: string }[]> {
    const salts = await readSecretSalts(sql);
    const found = [];
    for (const [name, value] of secrets) {
      const salt = salts.get(name);
      if (salt !== undefined) found.push({ name, fingerprint: await secretFingerprint(value, salt) });
    }
    return found;
  }

  async function report(): Promise<void> {
    let own: Awaited<ReturnType<typeof fingerprints>> | undefined;
    let away = false;
    while (!stopped.signal.aborted) {
      try {
        own ??= await fingerprints();
        await noteSecretValues(sql, own);
        away = false;
      } catch (err) {
        if (!away) log.warn({ err }, 'use of secrets could not be told, trying on');
        away = true;
      }
      await wait(away ? againMs : everyMs, undefined, { signal: stopped.signal }).catch(() => {});
    }
  }
  const reporting = report();
  return {
    async stop() {
      stopped.abort();
      // A Postgres that hangs must not hold up the drain.
      await Promise.race([reporting, wait(stopWithinMs, undefined, { ref: false })]);
    },
  };
}
