import { readdir, stat } from 'node:fs/promises';
import { registerHooks } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { FlowstateError } from '@flowstate/contracts';
import type { Workflow } from '@flowstate/workflow';

/** Workflows by name and version: what this worker can run. */
export type Catalogue = {
  all: Workflow[];
  find(name: string, version: string): Workflow | undefined;
  /** The version new runs get here. */
  current(name: string): Workflow | undefined;
};

export function createCatalogue(workflows: Workflow[]): Catalogue {
  const byKey = new Map<string, Workflow>();
  for (const workflow of workflows) {
    const key = `${workflow.name}@${workflow.version}`;
    if (byKey.has(key)) throw new FlowstateError('conflict', `Workflow ${key} is defined twice`);
    byKey.set(key, workflow);
  }
  return {
    all: workflows,
    find: (name, version) => byKey.get(`${name}@${version}`),
    current: (name) => workflows.findLast((workflow) => workflow.name === name),
  };
}

/**
 * Loads a team's own workflows: every export of every `.ts`, `.js` or `.mjs` file of the folders that `defineWorkflow`
 * made. Their imports of `@flowstate/workflow` and `typebox` resolve to this worker's when they have none of their own.
 */
export async function loadWorkflows(folders: string): Promise<Workflow[]> {
  resolveFromHere();
  const found: Workflow[] = [];
  for (const folder of folders.split(',').map((part) => resolve(part.trim()))) {
    const entry = await stat(folder).catch(() => {
      throw new FlowstateError('invalid_input', `FLOWSTATE_WORKFLOWS: ${folder} does not exist`);
    });
    const files = entry.isDirectory() ? (await readdir(folder)).toSorted().map((file) => join(folder, file)) : [folder];
    for (const file of files.filter((name) => /\.(ts|js|mjs)$/.test(name) && !/\.(test|d)\.ts$/.test(name))) {
      const module = (await import(pathToFileURL(file).href)) as Record<string, unknown>;
      found.push(...Object.values(module).filter(isWorkflow));
    }
  }
  return found;
}

function isWorkflow(value: unknown): value is Workflow {
  const candidate = value as Partial<Workflow> | null;
  return (
    typeof candidate === 'object' &&
    typeof candidate?.name === 'string' &&
    typeof candidate.version === 'string' &&
    typeof candidate.run === 'function' &&
    typeof candidate.queue === 'string'
  );
}

function resolveFromHere(): void {
  registerHooks({
    resolve(specifier, context, nextResolve) {
      try {
        return nextResolve(specifier, context);
      } catch (error) {
        if (!/^(@flowstate\/|typebox)/.test(specifier)) throw error;
        return nextResolve(specifier, { ...context, parentURL: import.meta.url });
      }
    },
  });
}
