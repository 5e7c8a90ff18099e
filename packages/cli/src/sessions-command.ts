import type { AdminSession, SessionReport } from '@flowstate/contracts';
import type { Command } from 'commander';
import { toNumber } from './json-input.ts';
import { openSessionAccess, type SessionAccess, type SessionOptions } from './session-access.ts';
import { formatTable } from './table.ts';
import { CommandError, exitCodes, type Terminal } from './terminal.ts';

/** `flowstate sessions list|verify|revoke`, through the API, or with `--direct` against Postgres and Redis. */
export function addSessionsCommand(program: Command, terminal: Terminal, done: (code: number) => void): void {
  const sessions = program.command('sessions').description("everybody's logins: see, end and check them");
  const { stdout } = terminal;
  const command = (name: string, description: string) =>
    sessions
      .command(name)
      .description(description)
      .option('--direct', 'use Postgres and Redis (DATABASE_URL, REDIS_URL) instead of the gateway, when that is down');

  async function withAccess(self: Command, work: (access: SessionAccess) => Promise<void>): Promise<void> {
    const access = await openSessionAccess(self.optsWithGlobals<SessionOptions>(), terminal);
    try {
      await work(access);
    } finally {
      await access.close();
    }
  }
  const printJson = (value: unknown) => void stdout.write(`${JSON.stringify(value, null, 2)}\n`);

  command('list', 'live sessions, newest first')
    .option('--user <user>', 'only of this user (id or email)')
    .option('--limit <n>', 'at most so many, up to 200', '50')
    .option('--json', 'as JSON')
    .action(async ({ user, limit, json }: { user?: string; limit: string; json?: boolean }, self: Command) => {
      await withAccess(self, async (access) => {
        const items = await access.list(user, limitOf(limit));
        if (json) printJson(items);
        else
          stdout.write(
            formatTable(['ID', 'USER', 'ROLE', 'CREATED', 'LAST SEEN', 'ADDRESS', 'DEVICE'], items.map(rowOf)),
          );
      });
    });

  command('revoke', 'end one session, or all of a user (deleteUserSessions)')
    .argument('[id]', 'the session')
    .option('--user <user>', 'all sessions of this user (id or email)')
    .action(async (id: string | undefined, { user }: { user?: string }, self: Command) => {
      if ((id === undefined) === (user === undefined)) {
        throw new CommandError('revoke: name one session by its id, or --user', exitCodes.usage);
      }
      await withAccess(self, async (access) => {
        if (id !== undefined) await access.revoke(id);
        const ended = user === undefined ? 1 : await access.revokeUser(user);
        stdout.write(`${ended} session${ended === 1 ? '' : 's'} ended\n`);
      });
    });

  command('verify', 'hold the copies in Redis against Postgres; exit code 1 when something is wrong')
    .option('--repair', 'delete what is wrong from Redis')
    .option('--json', 'as JSON')
    .action(async ({ repair = false, json }: { repair?: boolean; json?: boolean }, self: Command) => {
      await withAccess(self, async (access) => {
        const report = await access.verify(repair);
        if (json) printJson(report);
        else stdout.write(describe(report));
        if (!report.sound) done(exitCodes.failed);
      });
    });
}

function limitOf(text: string): number {
  const limit = toNumber(text);
  if (typeof limit === 'number' && Number.isInteger(limit) && limit >= 1 && limit <= 200) return limit;
  throw new CommandError('--limit must be a number from 1 to 200', exitCodes.usage);
}

function rowOf({ id, user, role, createdAt, lastSeenAt, address, userAgent }: AdminSession): string[] {
  return [id, user, role, createdAt, lastSeenAt, address ?? '', (userAgent ?? '').slice(0, 40)];
}

function describe({ sound, copies, indexed, sessions, counts, findings, repaired }: SessionReport): string {
  const found = Object.entries(counts).map(([fault, count]) => `${count} ${fault}`);
  return (
    `${sound ? 'sound' : 'NOT SOUND'}: ${copies} copies and ${indexed} index entries in Redis, ${sessions} live sessions in ` +
    `Postgres; ${found.join(', ')}${repaired === 0 ? '' : `; ${repaired} deleted from Redis`}\n` +
    (findings.length === 0
      ? ''
      : formatTable(
          ['FAULT', 'SESSION', 'USER', ''],
          findings.map(({ fault, sessionId, userId, detail }) => [fault, sessionId, userId ?? '', detail]),
        ))
  );
}
