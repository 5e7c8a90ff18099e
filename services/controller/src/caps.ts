import { limitsOf, type Limit, type Role } from '@flowstate/contracts';
import {
  listLimits,
  rolesOf,
  runsInFlight,
  workflowCaps,
  type Db,
  type DueRun,
  type InFlight,
  type WorkflowCaps,
} from '@flowstate/store';

type Line = Pick<DueRun, 'principalId' | 'workflowId'>;

/** How many more runs may be in flight, and what share each principal gets. */
export type Caps = {
  /** Places left for a principal's runs of a workflow, keys aside; Infinity where nothing is capped. */
  left(line: Line): number;
  /** Does its workflow cap the runs that share a key? */
  perKey(line: Line): boolean;
  /** Takes a place for the run if there is one. */
  take(run: DueRun): boolean;
  /** Takes places for as many of `runs` as there are, keys aside; returns how many. */
  reserve(line: Line, runs: number): number;
  /** Does any cap apply to it, so that it must be counted while in flight? */
  applies(run: DueRun): boolean;
  weight(principalId: string): number;
};

/** The caps as they are now, for these principals. */
export async function readCaps(db: Db, principalIds: readonly string[]): Promise<Caps> {
  const [limits, workflows] = await Promise.all([listLimits(db), workflowCaps(db)]);
  const capped = limits.some((limit) => limit.maxConcurrent !== null) || workflows.some((w) => w.total ?? w.perKey);
  const [roles, inFlight] = await Promise.all([rolesFor(db, limits, principalIds), capped ? runsInFlight(db) : []]);
  return createCaps({ limits, workflows, roles, inFlight });
}

/** Their roles, where a limit asks for them. */
export async function rolesFor(
  db: Db,
  limits: readonly Limit[],
  principalIds: readonly string[],
): Promise<ReadonlyMap<string, Role>> {
  return limits.some(({ scope }) => scope === 'role') ? rolesOf(db, principalIds) : new Map();
}

type Options = {
  limits: readonly Limit[];
  /** The newest version of each workflow first. */
  workflows: readonly WorkflowCaps[];
  roles: ReadonlyMap<string, Role>;
  inFlight: readonly InFlight[];
};

/** Versions of a workflow share its caps, and the newest says what they are; an operator's limit goes before it. */
export function createCaps({ limits, workflows, roles, inFlight }: Options): Caps {
  const nameOf = new Map(workflows.map(({ id, name }) => [id, name]));
  const newest = new Map(workflows.toReversed().map((workflow) => [workflow.name, workflow]));
  const ofWorkflow = new Map(limits.flatMap((l) => (l.scope === 'workflow' ? [[l.subject, l.maxConcurrent]] : [])));
  const principals = new Map<string, ReturnType<typeof limitsOf>>();
  const taken = new Map<string, number>();

  function principal(id: string) {
    let known = principals.get(id);
    if (known === undefined) principals.set(id, (known = limitsOf(limits, { id, role: roles.get(id) })));
    return known;
  }

  /** Every cap over a run, by the name under which its runs are counted. */
  function capsOver({ principalId, workflowId, concurrencyKey = null }: Line & Partial<DueRun>): [string, number][] {
    const name = nameOf.get(workflowId) ?? String(workflowId);
    const declared = newest.get(name);
    const caps: [string, number | null | undefined][] = [
      [`principal ${principalId}`, principal(principalId).maxConcurrent],
      [`workflow ${name}`, ofWorkflow.get(name) ?? declared?.total],
      [`key ${name} ${concurrencyKey}`, concurrencyKey === null ? null : declared?.perKey],
    ];
    return caps.filter((cap): cap is [string, number] => typeof cap[1] === 'number');
  }

  const left = (line: Line & Partial<DueRun>) =>
    Math.min(Infinity, ...capsOver(line).map(([counted, cap]) => Math.max(0, cap - (taken.get(counted) ?? 0))));
  const count = (line: Line & Partial<DueRun>, runs: number) => {
    for (const [counted] of capsOver(line)) taken.set(counted, (taken.get(counted) ?? 0) + runs);
  };
  for (const { runs, ...line } of inFlight) count(line, runs);

  return {
    left: ({ principalId, workflowId }) => left({ principalId, workflowId }),
    perKey: ({ workflowId }) => typeof newest.get(nameOf.get(workflowId) ?? '')?.perKey === 'number',
    take(run) {
      if (left(run) === 0) return false;
      count(run, 1);
      return true;
    },
    reserve({ principalId, workflowId }, runs) {
      const granted = Math.min(runs, left({ principalId, workflowId }));
      count({ principalId, workflowId }, granted);
      return granted;
    },
    applies: (run) => capsOver(run).length > 0,
    weight: (principalId) => principal(principalId).weight,
  };
}
