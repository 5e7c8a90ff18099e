import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createInterface } from 'node:readline';
import { holdPort } from './held-port.ts';
import { recordOutput, recordSecrets } from './output-record.ts';

export type LogLine = { level: string; service: string; msg: string } & Record<string, unknown>;

export type ServiceProcess = {
  /** e.g. `http://127.0.0.1:41234`; stays the same over restarts. */
  url: string;
  /** Everything it logged, over all its lives. */
  log: LogLine[];
  /** Resolves with the first line, logged already or yet to come, that `matches`. */
  logged(matches: (line: LogLine) => boolean): Promise<LogLine>;
  kill(signal: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  signal(signal: NodeJS.Signals): void;
  ended(): Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  /** Starts it again on the same port after it ended, from now on with these settings changed. */
  restart(changed?: Record<string, string>): Promise<void>;
  running(): boolean;
};

/** Where things are, and where compiled code is kept: hundreds of starts share it. */
function ofThisMachine(): NodeJS.ProcessEnv {
  const { PATH = '', HOME = '', NODE_COMPILE_CACHE } = process.env;
  return { PATH, HOME, ...(NODE_COMPILE_CACHE !== undefined && { NODE_COMPILE_CACHE }) };
}

/** `FLOWSTATE_TEST_LOGS=1 npm test -- file` shows what the services log. */
const showLogs = process.env.FLOWSTATE_TEST_LOGS === '1';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Starts a service as its own process on a port that stays its own, and waits until it listens. */
export async function startService(name: string, settings: Record<string, string>): Promise<ServiceProcess> {
  let env = settings;
  const log: LogLine[] = [];
  const waiting = new Set<{ matches: (line: LogLine) => boolean; resolve: (line: LogLine) => void }>();
  let child: ChildProcess;
  const port = String(await holdPort());
  let ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;

  async function start(): Promise<void> {
    const listening = Promise.withResolvers<void>();
    const errors: string[] = [];
    recordSecrets(env);
    const telemetry = env.OTEL_ENABLED === 'true' ? ['--import', './packages/runtime/src/telemetry.ts'] : [];
    child = spawn(process.execPath, [...telemetry, `services/${name}/src/main.ts`], {
      cwd: root,
      // Nothing of the developer's own environment leaks into a service under test.
      env: { ...ofThisMachine(), ...env, PORT: port, HOST: '127.0.0.1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    // By then everything it said has been read.
    ended = once(child, 'close').then(([code, signal]) => ({
      code: code as number | null,
      signal: signal as NodeJS.Signals | null,
    }));
    createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', (text) => {
      recordOutput(name, text);
      errors.push(text);
      log.push({ level: 'stderr', service: name, msg: text });
    });
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (text) => {
      recordOutput(name, text);
      const line = parse(text, name);
      log.push(line);
      if (showLogs) console.error(text);
      if (line.msg.startsWith(`Server listening at http://127.0.0.1:${port}`)) listening.resolve();
      for (const waiter of waiting) {
        if (!waiter.matches(line)) continue;
        waiting.delete(waiter);
        waiter.resolve(line);
      }
    });
    void (async () => {
      const { code, signal } = await ended;
      const last = [...log.slice(-5).map((line) => line.msg), ...errors.slice(-20)].join('\n');
      listening.reject(new Error(`${name} ended (${code ?? signal}) before it listened:\n${last}`));
    })();
    await listening.promise;
  }

  await start();
  return {
    url: `http://127.0.0.1:${port}`,
    log,
    logged(matches) {
      const already = log.find(matches);
      if (already) return Promise.resolve(already);
      return new Promise((resolve) => waiting.add({ matches, resolve }));
    },
    kill(signal) {
      child.kill(signal);
      return ended;
    },
    signal: (signal) => void child.kill(signal),
    ended: () => ended,
    restart(changed = {}) {
      env = { ...env, ...changed };
      return start();
    },
    running: () => child.exitCode === null && child.signalCode === null,
  };
}

function parse(text: string, service: string): LogLine {
  try {
    return JSON.parse(text) as LogLine;
  } catch {
    return { level: 'raw', service, msg: text };
  }
}
