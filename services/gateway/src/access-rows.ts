import type { Role } from '@flowstate/contracts';

/** Who may call a route: `open` anybody, `worker` only a worker's API key, else the roles named. */
export type Rule = 'open' | 'worker' | readonly Role[];

/** Roles that may call a route, but no run in the name of one of them: `closedToRuns` says why, in a sentence. */
export type ClosedToRuns = { roles: readonly Role[]; closedToRuns: string };

/** `METHOD /path/pattern` → rule. */
export type AccessTable = Readonly<Record<string, Rule | ClosedToRuns>>;

/** `METHOD /path/pattern` → the scope by which an API key that is good for little else may call it. */
export type ScopedRoutes = Readonly<Record<string, string>>;

/** The row of a route: its exact pattern first, then the longest `prefix/*` (pages of a plugin under one prefix). */
export function entryOf(table: AccessTable, method: string, pattern: string): string | undefined {
  const exact = `${method} ${pattern}`;
  if (table[exact] !== undefined) return exact;
  const parts = pattern.split('/');
  for (let length = parts.length; length > 1; length--) {
    const entry = `${method} ${parts.slice(0, length).join('/')}/*`;
    if (table[entry] !== undefined) return entry;
  }
  return undefined;
}

/** What the table says of a route, whatever is locked down. */
export function ruleOf(table: AccessTable, method: string, pattern: string): Rule | undefined {
  const row = table[entryOf(table, method, pattern) ?? ''];
  return row === undefined ? undefined : ruleIn(row);
}

/** Whom a row lets in, closed to runs or not. */
export function ruleIn(row: AccessTable[string]): Rule {
  return typeof row === 'object' && 'closedToRuns' in row ? row.roles : row;
}

/** Why no run may call what the row is about; null if one may. */
export function whyClosedToRuns(row: AccessTable[string] | undefined): string | null {
  return typeof row === 'object' && 'closedToRuns' in row ? row.closedToRuns : null;
}
