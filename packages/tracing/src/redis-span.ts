import { inSpan } from './span.ts';

/** A command to Redis; `target` names what it is about, never a key. */
export function inRedisSpan<T>(operation: string, target: string, work: () => Promise<T>): Promise<T> {
  const attributes = { 'db.system.name': 'redis', 'db.operation.name': operation, 'db.query.summary': target };
  return inSpan(`${operation} ${target}`, { kind: 'CLIENT', attributes }, work);
}
