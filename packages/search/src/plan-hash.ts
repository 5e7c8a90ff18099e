import { createHash } from 'node:crypto';

/** What of a plan's node makes its shape; costs, rows and the values compared change with every call. */
const shape = ['Node Type', 'Join Type', 'Parent Relationship', 'Relation Name', 'Index Name', 'Subplan Name'] as const;

/** Equal for two plans (`EXPLAIN (FORMAT JSON)`) that go about it in the same way, whatever they search for. */
export function planHash(plans: readonly unknown[]): string {
  return createHash('sha256')
    .update(JSON.stringify(plans.map(shapeOf)))
    .digest('hex')
    .slice(0, 12);
}

function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shapeOf);
  if (typeof value !== 'object' || value === null) return null;
  const node = value as Record<string, unknown>;
  if ('Plan' in node) return shapeOf(node['Plan']);
  return [shape.map((field) => node[field] ?? null), shapeOf(node['Plans'] ?? [])];
}
