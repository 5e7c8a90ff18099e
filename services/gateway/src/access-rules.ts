import type { Role } from '@flowstate/contracts';
import type { PolicyOverride } from '@flowstate/store';
import { entryOf, ruleIn, whyClosedToRuns, type AccessTable, type Rule } from './access-rows.ts';

/** A named group of routes: all those whose rule in the table is this very list. */
export type Permissions = Readonly<Record<string, readonly Role[]>>;

export type Route = { method: string; pattern: string; params?: Record<string, unknown> };

/** The access table, narrowed by whatever lockdown is in force at this moment. */
export type AccessRules = {
  rule(route: Route): Rule | undefined;
  /** May this role call a closed route? For what is part of another one's work. */
  allows(role: Role, route: Route): boolean;
  /** Why no run may call it; null if one may. */
  closedToRuns(route: Pick<Route, 'method' | 'pattern'>): string | null;
  /** May this role start, and go on with, runs of that workflow? */
  mayRun(role: Role, workflow: string): boolean;
  /** The closed routes a target covers; none for a target that means nothing here. */
  covered(target: string): string[];
  /** Would it keep an administrator from ending it? */
  locksOutAdmin(target: string, roles: readonly Role[]): boolean;
  table(): { route: string; permission: string | null; rule: Rule; locked: boolean; closedToRuns: string | null }[];
};

type Options = { table: AccessTable; permissions: Permissions; overrides: () => readonly PolicyOverride[] };

const startRoute = { method: 'POST', pattern: '/api/workflows/:name/runs' };
/** What an administrator needs to end a lockdown; no override takes it away. */
const escapeRoutes = / \/api\/(admin|auth)\//;

export function createAccessRules({ table, permissions, overrides }: Options): AccessRules {
  const rules: Readonly<Record<string, Rule>> = Object.fromEntries(
    Object.entries(table).map(([entry, row]) => [entry, ruleIn(row)]),
  );
  const permissionOf = (rule: Rule) => Object.entries(permissions).find(([, roles]) => roles === rule)?.[0] ?? null;

  /** Does the target cover this row of the table (for these parameters, where it names one workflow)? */
  function covers(target: string, entry: string, params: Record<string, unknown> | undefined): boolean {
    const rule = rules[entry];
    if (!Array.isArray(rule)) return false;
    const [method, path] = split(target);
    if (path === undefined) return permissionOf(rule) === target;
    const [ownMethod, ownPath] = split(entry) as [string, string];
    if (method !== '*' && method !== ownMethod) return false;
    if (path === ownPath) return true;
    if (path.endsWith('/*')) return ownPath.startsWith(path.slice(0, -1));
    const name = nameIn(path, ownPath);
    return name !== undefined && (params === undefined || params['name'] === name);
  }

  function narrowed(entry: string, params: Record<string, unknown> | undefined): Rule | undefined {
    let rule = rules[entry];
    for (const { target, roles } of overrides()) {
      if (!Array.isArray(rule) || !covers(target, entry, params)) continue;
      const keeps = escapeRoutes.test(entry) ? [...roles, 'admin'] : roles;
      rule = rule.filter((role: Role) => keeps.includes(role));
    }
    return rule;
  }

  const covered = (target: string) => Object.keys(rules).filter((entry) => covers(target, entry, undefined));

  function rule({ method, pattern, params }: Route): Rule | undefined {
    const entry = entryOf(table, method, pattern);
    if (entry === undefined) return undefined;
    // The ordinary case, on every request.
    return overrides().length === 0 ? rules[entry] : narrowed(entry, params ?? {});
  }

  function allows(role: Role, route: Route): boolean {
    const roles = rule(route);
    return Array.isArray(roles) && roles.includes(role);
  }

  return {
    rule,
    allows,
    closedToRuns: ({ method, pattern }) => whyClosedToRuns(table[entryOf(table, method, pattern) ?? '']),
    mayRun: (role, workflow) => allows(role, { ...startRoute, params: { name: workflow } }),
    covered,
    locksOutAdmin: (target, roles) =>
      !roles.includes('admin') && covered(target).some((entry) => escapeRoutes.test(entry)),
    table: () =>
      Object.entries(rules).map(([route, rule]) => {
        const now = narrowed(route, {}) ?? rule;
        const closedToRuns = whyClosedToRuns(table[route]);
        return { route, permission: permissionOf(rule), rule: now, locked: now !== rule, closedToRuns };
      }),
  };
}

function split(target: string): [string, string | undefined] {
  const space = target.indexOf(' ');
  return space === -1 ? [target, undefined] : [target.slice(0, space), target.slice(space + 1)];
}

/** The workflow (or signal) a path names where the pattern says `:name`; undefined where the two differ otherwise. */
function nameIn(path: string, pattern: string): string | undefined {
  const [before, after] = pattern.split(':name');
  if (after === undefined || before === undefined || !path.startsWith(before) || !path.endsWith(after))
    return undefined;
  const name = path.slice(before.length, path.length - after.length);
  return /^[\w.-]+$/.test(name) ? name : undefined;
}
