import { findCustomerId, readRunSubject, type Db } from '@flowstate/store';

type Schema = { 'x-flowstate-entity'?: string; properties?: Record<string, Schema>; items?: Schema };

/**
 * Is that customer (by our id) one the run was started for? A run is about the customers that its input names in the
 * fields its workflow's schema marks; whatever an agent read since adds none.
 */
export async function isSubject(db: Db, runId: string, customerId: string): Promise<boolean> {
  const subject = await readRunSubject(db, runId);
  if (subject === null) return false;
  for (const named of entitiesIn(subject.schema, subject.input, 'customer')) {
    if ((await findCustomerId(db, named)) === customerId) return true;
  }
  return false;
}

/** Ids in `value` where `schema` says that an entity of that kind stands, at any depth of objects and lists. */
export function entitiesIn(schema: Schema, value: unknown, kind: string): Set<string> {
  if (schema['x-flowstate-entity'] === kind && typeof value === 'string') return new Set([value]);
  const parts: [Schema | undefined, unknown][] = Array.isArray(value)
    ? value.map((item: unknown) => [schema.items, item])
    : Object.entries(schema.properties ?? {}).map(([name, part]) => [part, ownValue(value, name)]);
  return new Set(parts.flatMap(([part, item]) => (part === undefined ? [] : [...entitiesIn(part, item, kind)])));
}

function ownValue(value: unknown, name: string): unknown {
  const own = typeof value === 'object' && value !== null && Object.hasOwn(value, name);
  return own ? (value as Record<string, unknown>)[name] : undefined;
}
