import { runGroup } from './process-group.ts';
import { readTap, type Counts, type Failure, type Skip } from './tap-results.ts';

export type FileResult = { file: string; seconds: number; failures: Failure[]; skips: Skip[]; counts: Counts };

type Options = {
  cwd: string;
  env: NodeJS.ProcessEnv;
  /** Files at the same time. */
  jobs: number;
  /** Seconds after which tap ends a file and says what it waited for. */
  timeout: (file: string) => number;
  signal: AbortSignal;
  onFile: (result: FileResult) => void;
};

/**
 * Runs test files, each a process of its own. `tap run` would do, but it takes half a second of CPU a file to record
 * what each imports, which is what it measures coverage by.
 */
export async function runFiles(files: string[], options: Options): Promise<FileResult[]> {
  const waiting = files.values();
  const results: FileResult[] = [];
  async function work(): Promise<void> {
    for (const file of waiting) {
      const result = await runFile(file, options);
      results.push(result);
      options.onFile(result);
    }
  }
  await Promise.all(Array.from({ length: options.jobs }, work));
  return results;
}

async function runFile(file: string, { cwd, env, timeout: timeoutOf, signal }: Options): Promise<FileResult> {
  const timeout = timeoutOf(file);
  const begun = performance.now();
  const hanging = AbortSignal.timeout((timeout + 30) * 1000);
  const ended = await runGroup([process.execPath, file], {
    cwd,
    env: { ...env, TAP_TIMEOUT: String(timeout) },
    signal: AbortSignal.any([signal, hanging]),
  }).catch((error: unknown) => {
    if (!hanging.aborted) throw error;
    return { code: null, stdout: '', stderr: `${file} did not end, not even by tap's own timeout of ${timeout} s` };
  });
  const { failures, skips, counts } = readTap(file, ended.stdout);
  // It crashed, hung or left something open.
  if (ended.code !== 0 && failures.length === 0) {
    failures.push({ name: file, detail: { exitCode: ended.code } });
    counts.failed += 1;
  }
  if (failures.length > 0 && ended.stderr !== '') failures.push({ name: `${file}: stderr`, detail: ended.stderr });
  return { file, seconds: (performance.now() - begun) / 1000, failures, skips, counts };
}
