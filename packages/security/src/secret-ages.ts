import type { SecretAge } from '@flowstate/contracts';
import { readSecrets, type Db, type SecretRecord } from '@flowstate/store';

const dayMs = 24 * 3600_000;
/** The last tenth of its time. */
const soon = 0.9;

/** Each secret with its last rotation (or when it was first seen), its age and when it is due. */
export async function readSecretAges(db: Db): Promise<SecretAge[]> {
  return (await readSecrets(db)).map(toAge);
}

function toAge({ name, maxAgeDays, since, values, now }: SecretRecord): SecretAge {
  const ageMs = since === null ? null : now.getTime() - since.getTime();
  const part = (ageMs ?? 0) / (maxAgeDays * dayMs);
  return {
    name,
    maxAgeDays,
    lastRotatedAt: since?.toISOString() ?? null,
    ageSeconds: ageMs === null ? null : Math.max(0, Math.floor(ageMs / 1000)),
    dueAt: since === null ? null : new Date(since.getTime() + maxAgeDays * dayMs).toISOString(),
    rotating: values > 1,
    state: since === null ? 'unset' : part > 1 ? 'over-age' : part > soon ? 'due-soon' : 'fresh',
  };
}
