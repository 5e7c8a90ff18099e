import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Expectation } from './parse-runbook.ts';

export type StepOutcome = {
  passed: boolean;
  /** What was expected and not seen; null when it passed. */
  why: string | null;
  /** Everything it printed. */
  output: string;
  exitCode: number | null;
  seconds: number;
};

const cli = fileURLToPath(new URL('../main.ts', import.meta.url));
const longestSeconds = 300;
const mostOutput = 256 * 1024;

/** In a clone `flowstate` is this very program, whether or not anything of that name is installed. */
const prelude = 'flowstate() { "$FLOWSTATE_NODE" "$FLOWSTATE_CLI" "$@"; }\n';

/** Gives the command to a shell, as a person would, and holds what it printed against what was expected. */
export async function runStep(
  { command, expect }: { command: string; expect: Expectation },
  { env, signal }: { env: NodeJS.ProcessEnv; signal: AbortSignal },
): Promise<StepOutcome> {
  const begun = performance.now();
  const child = spawn('sh', ['-c', prelude + command], {
    env: { ...env, FLOWSTATE_NODE: process.execPath, FLOWSTATE_CLI: cli },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true, // a group of its own, which ends as one
  });
  let output = '';
  const keep = (text: string) => (output = (output + text).slice(-mostOutput));
  child.stdout.setEncoding('utf8').on('data', keep);
  child.stderr.setEncoding('utf8').on('data', keep);
  let late = false;
  const end = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGTERM');
    } catch {
      // it has ended meanwhile
    }
  };
  const timer = setTimeout(() => {
    late = true;
    end();
  }, longestSeconds * 1_000);
  signal.addEventListener('abort', end, { once: true });
  try {
    const [exitCode] = (await once(child, 'close')) as [number | null];
    const why = late ? `it took longer than ${longestSeconds} s` : missing(expect, { output, exitCode });
    return { passed: why === null, why, output, exitCode, seconds: (performance.now() - begun) / 1_000 };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
  }
}

function missing(
  expect: Expectation,
  { output, exitCode }: { output: string; exitCode: number | null },
): string | null {
  const wrong = [
    ...(exitCode === expect.exitCode ? [] : [`exit code ${exitCode}, not ${expect.exitCode}`]),
    ...expect.texts.filter((text) => !output.includes(text)).map((text) => `"${text}" is missing`),
    ...expect.absent.filter((text) => output.includes(text)).map((text) => `"${text}" must not be there`),
  ];
  return wrong.length === 0 ? null : wrong.join('; ');
}
