import { createCheck, FlowstateError } from '@flowstate/contracts';
import { listWorkflows, type PublishedWorkflow, type Sql } from '@flowstate/store';
import type { TSchema } from 'typebox';

export type KnownWorkflow = PublishedWorkflow & {
  /** Throws `invalid_input` naming the field, e.g. `input.customerId`. */
  checkInput: (input: unknown) => unknown;
};

export type WorkflowCatalogue = {
  /** A published version, by default the newest; `not_found` when no worker ever published it. */
  get(name: string, version?: string): Promise<KnownWorkflow>;
  list(): Promise<KnownWorkflow[]>;
};

const freshForMs = 1_000;

/** What workers have published, read at most once a second; a name we do not know is looked up at once. */
export function createWorkflowCatalogue(sql: Sql): WorkflowCatalogue {
  let known = new Map<number, KnownWorkflow>();
  let newest = new Map<string, KnownWorkflow>();
  let readAt = -Infinity;
  let reading: Promise<void> | undefined;

  async function read(): Promise<void> {
    const rows = await listWorkflows(sql);
    // A published schema never changes under its id: compiled checks are kept.
    known = new Map(
      rows.map((row) => {
        const checkInput = known.get(row.id)?.checkInput ?? createCheck(row.input as TSchema, { root: 'input' });
        return [row.id, { ...row, checkInput }];
      }),
    );
    newest = new Map();
    for (const row of rows) if (!newest.has(row.name)) newest.set(row.name, known.get(row.id) as KnownWorkflow);
    readAt = performance.now();
  }

  async function refresh(): Promise<void> {
    reading ??= read().finally(() => {
      reading = undefined;
    });
    await reading;
  }

  return {
    async get(name, version) {
      const find = () =>
        version === undefined
          ? newest.get(name)
          : known.values().find((one) => one.name === name && one.version === version);
      if (performance.now() - readAt > freshForMs || find() === undefined) await refresh();
      const workflow = find();
      if (workflow !== undefined) return workflow;
      const which = version !== undefined && newest.has(name) ? `version ${version} of workflow` : 'workflow';
      throw new FlowstateError('not_found', `There is no ${which} ${name}`);
    },
    async list() {
      await refresh();
      return [...newest.values()];
    },
  };
}
