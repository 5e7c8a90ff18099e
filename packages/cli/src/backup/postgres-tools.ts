import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { CommandError } from '../terminal.ts';

type Started = {
  child: ChildProcess;
  /** Resolves when it ended well; throws a `CommandError` in its own words. */ ended: Promise<void>;
};

type Options = {
  databaseUrl: string;
  env: NodeJS.ProcessEnv;
  signal: AbortSignal;
  stdio: ['pipe' | 'ignore', 'pipe' | 'ignore'];
};

/**
 * Starts one of PostgreSQL's own programs on a database. The address goes by its environment: what stands in arguments
 * everybody on the machine can read.
 */
export function startTool(program: string, args: string[], { databaseUrl, env, signal, stdio }: Options): Started {
  const child = spawn(program, args, {
    env: { ...env, ...connectionOf(databaseUrl) },
    stdio: [...stdio, 'pipe'],
    signal,
  });
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-4_000)));
  const ended = once(child, 'close').then(
    ([code, killed]) => {
      if (code === 0) return;
      throw new CommandError(`${program} ended with ${String(code ?? killed)}: ${said.trim()}`);
    },
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      throw new CommandError(
        `${program} is not there: install PostgreSQL's client programs (postgresql-client), in the server's version or later`,
      );
    },
  );
  // Whoever waits for something else first must not leave it unheard.
  ended.catch(() => {});
  return { child, ended };
}

/** libpq's own variables, from an address such as DATABASE_URL. */
function connectionOf(databaseUrl: string): NodeJS.ProcessEnv {
  const url = new URL(databaseUrl);
  const ssl = url.searchParams.get('sslmode');
  return {
    PGHOST: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    PGPORT: url.port || '5432',
    PGUSER: decodeURIComponent(url.username),
    PGPASSWORD: decodeURIComponent(url.password),
    PGDATABASE: decodeURIComponent(url.pathname.slice(1)),
    PGAPPNAME: 'flowstate-cli',
    ...(ssl !== null && { PGSSLMODE: ssl }),
  };
}
