import type { RehearsalReport, SigningKeyInfo, SigningKeyReport } from '@flowstate/contracts';
import type { Command } from 'commander';
import { withClient } from './connection.ts';
import { openSigningKeys, type SigningKeyAccess, type SigningKeyOptions } from './signing-key-access.ts';
import { formatTable } from './table.ts';
import { exitCodes, type Terminal } from './terminal.ts';

/** `flowstate keys status|rehearse|kill`, through the API, or with `--direct` against Postgres. */
export function addSigningKeyCommands(keys: Command, terminal: Terminal, done: (code: number) => void): void {
  const { stdout } = terminal;
  const command = (name: string, description: string) =>
    keys
      .command(name)
      .description(description)
      .option('--direct', 'use Postgres (DATABASE_URL) instead of the gateway, when that is down');

  async function withAccess(self: Command, work: (access: SigningKeyAccess) => Promise<void>): Promise<void> {
    const access = await openSigningKeys(self.optsWithGlobals<SigningKeyOptions>(), terminal);
    try {
      await work(access);
    } finally {
      await access.close();
    }
  }

  command('status', 'the keys that sign tokens: who holds them, traffic, and whether they are safe to retire')
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: boolean }, self: Command) => {
      await withAccess(self, async (access) => {
        const report = await access.status();
        stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : describe(report));
      });
    });

  keys
    .command('rehearse')
    .description('would a rotation go through now? changes nothing; exit code 1 when it would not')
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: boolean }, self: Command) => {
      await withClient(self, terminal, async (client) => {
        const report = await client.request<RehearsalReport>('POST', '/api/admin/signing-keys/rehearse');
        stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : describeRehearsal(report));
        if (!report.passed) done(exitCodes.failed);
      });
    });

  command('kill', 'refuse all tokens of a signing key, on every gateway within a second, for good')
    .argument('<kid>', 'the key, as `keys status` shows it')
    .requiredOption('--reason <text>', 'why; it stands in the audit log')
    .option('--force', 'even if all live gateways sign with it: nobody can log in until they have another key')
    .action(async (kid: string, { reason, force = false }: { reason: string; force?: boolean }, self: Command) => {
      await withAccess(self, async (access) => {
        const { killedAt, disabled } = await access.kill(kid, { reason, force });
        stdout.write(`${kid} killed ${killedAt}\n`);
        if (disabled.length === 0) return;
        stdout.write(`These sign nothing until they are restarted with another JWT_SECRET: ${disabled.join(', ')}\n`);
      });
    });
}

function describeRehearsal({ passed, checks }: RehearsalReport): string {
  const rows = checks.map(({ name, ok, evidence }) => [ok ? 'pass' : 'FAIL', name, evidence]);
  const verdict = passed ? 'PASSED: a rotation would go through' : 'FAILED: a rotation would not go through';
  return `${formatTable(['', 'CHECK', 'EVIDENCE'], rows)}${verdict}\n`;
}

function describe({ gateways, items }: SigningKeyReport): string {
  const table = formatTable(
    ['KID', 'STATE', 'SIGN', 'VERIFY', 'VERIFIED (10 MIN)', 'LAST VERIFIED', 'LAST SIGNED', 'VERDICT'],
    items.map(rowOf),
  );
  const reasons = items.flatMap(({ kid, why }) => why.map((reason) => `${kid}: ${reason}\n`)).join('');
  return `${gateways} live gateway${gateways === 1 ? '' : 's'}\n${table}${reasons}`;
}

function rowOf(key: SigningKeyInfo): string[] {
  const live = key.gateways.filter((gateway) => gateway.live);
  return [
    key.kid,
    key.state,
    String(live.filter(({ signs }) => signs).length),
    String(live.length),
    String(key.verifiedRecently),
    key.lastVerifiedAt ?? 'never',
    key.lastSignedAt ?? 'never',
    key.verdict,
  ];
}
