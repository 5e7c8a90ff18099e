/**
 * The value a JSON Pointer (RFC 6901) leads to; undefined when there is none. Beyond the standard, `[name=win-rate]` is
 * the first item of a list whose field has that value, since lists of figures have no fixed order.
 */
export function valueAt(value: unknown, pointer: string): unknown {
  let found: unknown = value;
  for (const part of pointer.split('/').slice(1)) {
    if (typeof found !== 'object' || found === null) return undefined;
    const [, field, wanted] = /^\[([^=\]]+)=([^\]]*)\]$/.exec(part) ?? [];
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (field === undefined) found = Object.hasOwn(found, key) ? (found as Record<string, unknown>)[key] : undefined;
    else if (Array.isArray(found))
      found = found.find((item) => String((item as Record<string, unknown>)?.[field]) === wanted);
    else return undefined;
  }
  return found;
}

/** Every object within a value, itself included, outermost first. */
export function* objectsIn(value: unknown): Generator<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) yield value as Record<string, unknown>;
  for (const inner of Object.values(value)) yield* objectsIn(inner);
}
