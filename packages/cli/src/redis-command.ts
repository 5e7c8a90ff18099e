import { readClusterAddress } from '@flowstate/contracts';
import { addRedisPassword, openRedis, readRedisUser, retireRedisPasswords } from '@flowstate/security';
import { Option, type Command } from 'commander';
import { readPassword, setting } from './connection.ts';
import { onStores } from './direct-stores.ts';
import { formatTable } from './table.ts';
import { CommandError, exitCodes, type Terminal } from './terminal.ts';

const instances = { queues: 'REDIS_URL', cache: 'REDIS_CACHE_URL' } as const;
type Instance = keyof typeof instances;
type DirectRedis = Awaited<ReturnType<typeof openRedis>>;
type Options = { instance: Instance; user?: string; newPasswordFile: string };

const notPersisted =
  'NOT PERSISTED: this Redis was started without a configuration file and without an aclfile. After its restart it has ' +
  'the password it is started with: change that there, too.\n';

/** `flowstate redis status|add-password|retire-password`: straight to Redis, for one instance at a time. */
export function addRedisCommand(program: Command, terminal: Terminal): void {
  const redis = program.command('redis').description("rotate the password of the services' login to Redis");
  const { stdout, stderr } = terminal;
  const command = (name: string, description: string) =>
    redis
      .command(name)
      .description(description)
      .addOption(
        new Option('--instance <which>', 'REDIS_URL (queues) or REDIS_CACHE_URL (cache)')
          .choices(Object.keys(instances))
          .makeOptionMandatory(),
      )
      .option('--user <name>', "the services' user; by default that of the address")
      .addHelpText(
        'after',
        '\nREDIS_ADMIN_URL names a login that may administer users; without it the address itself is used.\n',
      );
  const passwordOption = ['--new-password-file <file>', 'a file with the new password'] as const;

  command('status', 'passwords and connections of that user').action((options: Options) =>
    withRedis(options, terminal, undefined, async (client, user) => {
      const { passwords, connections, persistence } = await readRedisUser(client, user);
      stdout.write(
        formatTable(
          ['USER', 'PASSWORDS', 'CONNECTIONS', 'PERSISTED IN'],
          [[user, String(passwords), String(connections), persistence]],
        ),
      );
    }),
  );

  command('add-password', 'phase one: the new password logs in beside the old one')
    .requiredOption(...passwordOption)
    .action(async (options: Options) => {
      const password = await newPassword(options);
      await withRedis(options, terminal, password, async (client, user) => {
        const { persisted } = await addRedisPassword(client, user, password);
        stdout.write(
          `${user} has the new password beside the old one. Now restart the services, one by one, with it in ${instances[options.instance]}.\n`,
        );
        if (!persisted) stderr.write(notPersisted);
      });
    });

  command('retire-password', 'phase two: only the new password logs in; undone when somebody still uses an old one')
    .requiredOption(...passwordOption)
    .action(async (options: Options) => {
      const password = await newPassword(options);
      await withRedis(options, terminal, password, async (client, user) => {
        const { closed, back, persisted } = await retireRedisPasswords(client, { user, password });
        stdout.write(
          `${user} has the new password only. ${closed} connections were closed, ${back} are back with it; nobody tried another one.\n`,
        );
        if (!persisted) stderr.write(notPersisted);
      });
    });
}

async function newPassword({ newPasswordFile }: Options): Promise<string> {
  const password = await readPassword(newPasswordFile);
  if (password.length >= 24 && /^[\x21-\x7e]+$/.test(password)) return password;
  throw new CommandError(
    '--new-password-file: at least 24 printable characters (openssl rand -hex 32)',
    exitCodes.usage,
  );
}

/** The administrator's login; else the address itself, with the old password or, by now, the new one. */
async function withRedis(
  { instance, user: named }: Options,
  terminal: Terminal,
  password: string | undefined,
  work: (redis: DirectRedis, user: string) => Promise<void>,
): Promise<void> {
  const variable = instances[instance];
  const url = URL.parse((await setting(terminal, variable)) ?? '');
  if (url === null) throw new CommandError(`${variable} must be the address of that Redis.`, exitCodes.usage);
  if (readClusterAddress(url.href) !== null) {
    throw new CommandError(
      `${variable} is a cluster's, and each of its nodes has users of its own: give one node's address, ` +
        `redis://host:port, and do it for each.`,
      exitCodes.usage,
    );
  }
  const user = named ?? (decodeURIComponent(url.username) || 'default');
  const admin = await setting(terminal, 'REDIS_ADMIN_URL');
  const candidates = admin ? [admin] : [url.href, ...(password === undefined ? [] : [withPassword(url, password)])];
  await onStores(async () => {
    const redis = await openRedis(candidates);
    try {
      await work(redis, user);
    } finally {
      redis.disconnect();
    }
  });
}

function withPassword(url: URL, password: string): string {
  const changed = new URL(url);
  changed.password = encodeURIComponent(password);
  return changed.href;
}
