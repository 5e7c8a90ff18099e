import { fileTimeout } from './file-timeout.ts';
import { runGroup } from './process-group.ts';
import { readTap, type Counts, type FileResult } from './tap-results.ts';

type Options = {
  cwd: string;
  env: NodeJS.ProcessEnv;
  /** Groups at the same time. */
  jobs: number;
  signal: AbortSignal;
  onFile: (result: FileResult) => void;
};

export type GroupResult = { files: FileResult[]; counts: Counts };

/**
 * Runs groups of test files, each group a process of its own. `tap run` would do for single files, but it takes half a
 * second of CPU a file to record what each imports, which is what it measures coverage by.
 */
export async function runFiles(groups: readonly string[][], options: Options): Promise<GroupResult[]> {
  const waiting = groups.values();
  const results: GroupResult[] = [];
  async function work(): Promise<void> {
    for (const files of waiting) {
      const result = await runFileGroup(files, options);
      results.push(result);
      result.files.forEach(options.onFile);
    }
  }
  await Promise.all(Array.from({ length: options.jobs }, work));
  return results;
}

async function runFileGroup(files: string[], { cwd, env, signal }: Options): Promise<GroupResult> {
  const timeout = files.reduce((sum, file) => sum + fileTimeout(file), 90);
  const hanging = AbortSignal.timeout(timeout * 1000);
  const ended = await runGroup([process.execPath, 'test/file-group.ts', ...files], {
    cwd,
    env,
    signal: AbortSignal.any([signal, hanging]),
  }).catch((error: unknown) => {
    if (!hanging.aborted) throw error;
    return { code: null, stdout: '', stderr: `${files.join(', ')} did not end, not even after ${timeout} s` };
  });
  return readTap(files, ended);
}
