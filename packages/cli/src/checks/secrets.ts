import { secretWeakness } from '@flowstate/runtime';
import { setting } from '../connection.ts';
import { formatTable } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import type { Verdict } from './verdict.ts';

const names = [
  'JWT_SECRET',
  'JWT_PREVIOUS_SECRETS',
  'WORKER_API_KEY',
  'WEBHOOK_SECRET',
  'METRICS_TOKEN',
  'SCALER_TOKEN',
];
const passwords = ['DATABASE_URL', 'REDIS_URL', 'REDIS_CACHE_URL'];

/**
 * Holds the secrets of this environment (or `NAME_FILE`, or what `npm start` wrote) against the rule by which services
 * refuse to start. What cannot be seen from here is said to be so: the services that run have passed the same rule.
 */
export async function checkSecrets(terminal: Terminal): Promise<Verdict> {
  const rows = [
    ...(await Promise.all(names.map(async (name) => rowOf(name, await setting(terminal, name))))),
    ...(await Promise.all(
      passwords.map(async (name) => rowOf(`password in ${name}`, passwordIn(await setting(terminal, name)))),
    )),
  ];
  const seen = rows.filter(([, state]) => state !== unseen);
  const weak = seen.filter(([, state]) => state !== strong);
  return {
    ok: weak.length === 0,
    summary:
      weak.length > 0
        ? `${weak.length} of ${seen.length} secrets seen from here are weak`
        : `no weak secret among the ${seen.length} seen from here; no service starts with a weak one`,
    evidence: formatTable(['SECRET', 'STATE'], rows),
  };
}

const strong = 'strong';
const unseen = 'not set here';

function rowOf(name: string, value: string | undefined): [string, string] {
  if (!value) return [name, unseen];
  const parts = value.split(',').map((part) => part.trim());
  const weakness = parts.filter(Boolean).map(secretWeakness).find(Boolean);
  return [name, weakness ?? strong];
}

function passwordIn(url: string | undefined): string | undefined {
  return url !== undefined && URL.canParse(url) ? decodeURIComponent(new URL(url).password) : undefined;
}
