import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readClusterAddress } from '@flowstate/contracts';
import { createClient, startOwnStores, startPlatform, startRecorder } from '@flowstate/test';
import { Redis } from 'ioredis';
import t from 'tap';
import { flowstate as run } from './fixtures/run-cli.ts';

const workflows = fileURLToPath(new URL('../../../test/fixtures/workflows', import.meta.url));
const stepsEach = 2;
const secret = () => randomBytes(24).toString('base64url');

const flowstate = (args: string[], env: Record<string, string>) => run(args, { env });

/** The address of each server there. */
function nodesOf(url: string): string[] {
  const { nodes, username = '', password = '' } = readClusterAddress(url) ?? {};
  return nodes?.map(({ host, port }) => `redis://${username}:${password}@${host}:${port}`) ?? [url];
}

/** Who tries to log in with this password: `PONG`, or Redis' refusal. */
async function tryPassword(url: string): Promise<string> {
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 });
  let refusal = '';
  redis.on('error', (error: Error) => (refusal ||= error.message));
  try {
    await redis.connect();
    return await redis.ping();
  } catch (error) {
    return refusal || (error as Error).message;
  } finally {
    redis.disconnect();
  }
}

const stores = await startOwnStores(t);
if (typeof stores === 'string') {
  t.pass('rotation of Redis passwords', { skip: stores });
} else {
  const servers = { REDIS_URL: stores.redisUrl, REDIS_CACHE_URL: stores.redisCacheUrl };
  const folder = await mkdtemp(join(tmpdir(), 'flowstate-redis-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const [old, next] = [secret(), secret()];
  const newFile = join(folder, 'new');
  await writeFile(newFile, `${next}\n`);

  /** Both addresses as the services have them, with this password. */
  const addresses = (password: string) =>
    Object.fromEntries(
      Object.entries(servers).map(([name, server]) => {
        const url = new URL(server);
        url.username = 'flowstate';
        url.password = password;
        return [name, url.href];
      }),
    ) as typeof servers;
  /** The same of each server: a cluster's nodes have users of their own. */
  const serversOf = (all: typeof servers): (typeof servers)[] => {
    const [queues, cache] = [nodesOf(all.REDIS_URL), nodesOf(all.REDIS_CACHE_URL)];
    return queues.map((url, n) => ({ REDIS_URL: url, REDIS_CACHE_URL: cache[n] ?? '' }));
  };
  for (const server of serversOf(servers).flatMap((each) => Object.values(each))) {
    const admin = new Redis(server);
    await admin.acl('SETUSER', 'flowstate', 'on', `>${old}`, '~*', '&*', '+@all');
    await admin.quit();
  }
  const platform = await startPlatform(t, { workflows, stores, env: addresses(old) });
  const second = await platform.addGateway();
  const recorder = await startRecorder(t);
  const { token } = await platform.as('manager');
  const gateways = [platform.gateway, second].map(({ url }) => createClient(url, token));

  const accepted: string[] = [];
  const enough = new AbortController();
  const flow = (async () => {
    for (let n = 0; !enough.signal.aborted; n++) {
      const path = '/api/workflows/recorded-steps/runs';
      const input = { recorder: recorder.url, steps: stepsEach };
      // The one that restarts takes no connection; which of two took a run that was not answered is told by its key.
      const key = { 'idempotency-key': `run-${n}` };
      for (let turn = 0; ; turn++) {
        const client = gateways[turn % gateways.length] as (typeof gateways)[number];
        const answer = await client.post<{ id: string }>(path, { input }, key).catch(() => undefined);
        await wait(60); // the machine is left to the services that restart
        // One that has too much to do says 503.
        if (answer === undefined || answer.status === 503) continue;
        if (answer.status !== 202) throw new Error(`a run was answered ${answer.status}`);
        accepted.push(answer.body.id);
        break;
      }
    }
  })();
  const more = async (runs: number) => {
    for (const wanted = accepted.length + runs; accepted.length < wanted; await wait(20));
  };
  const allDone = async () => {
    const sofar = accepted.slice(); // more come in meanwhile
    for (const id of sofar) {
      let last: string | undefined;
      for await (const { event } of createClient(second.url, token).events(id)) last = event;
      if (last !== 'run.completed') throw new Error(`${id} ended as ${last}`);
    }
  };
  const onAll = async (command: string, args: string[], env: typeof servers) => {
    const answers = [];
    for (const instance of ['queues', 'cache'])
      for (const each of serversOf(env))
        answers.push(await flowstate(['redis', command, '--instance', instance, ...args], each));
    return answers;
  };
  const tryPasswords = (url: string) => Promise.all(nodesOf(url).map(tryPassword));
  const newPassword = ['--new-password-file', newFile];

  await t.test('a rotation is added, refused too early, finished, and no run is lost or repeated', async (t) => {
    await more(10);
    for (const answer of await onAll('retire-password', newPassword, addresses(old)))
      t.match(answer, { code: 1, err: /add it first/ });
    for (const { code, out, err } of await onAll('add-password', newPassword, addresses(old))) {
      t.equal(code, 0, err);
      t.match(out, /beside the old one/);
      t.notMatch(err, /NOT PERSISTED/);
    }
    for (const answer of await onAll('status', [], addresses(old)))
      t.match(answer, { out: /flowstate +2 +\d+ +config file/ });
    await more(10);
    for (const each of serversOf(addresses(old))) {
      const tooEarly = await flowstate(['redis', 'retire-password', '--instance', 'queues', ...newPassword], each);
      t.match(tooEarly, { code: 1, err: /Still logging in with an old password of flowstate: 127\.0\.0\.1/ });
      t.equal(await tryPassword(each.REDIS_URL), 'PONG', 'the old one is back');
    }
    await more(10);
    await allDone(); // everybody is back at work

    for (const service of [platform.worker, platform.controller, platform.gateway, second]) {
      t.match(await service.kill('SIGTERM'), { code: 0 });
      await service.restart(addresses(next));
      await more(5);
    }
    for (const { code, out, err } of await onAll('retire-password', newPassword, addresses(next))) {
      t.equal(code, 0, err);
      t.match(out, /new password only. \d+ connections were closed, \d+ are back/);
      t.comment(out.trim());
    }
    for (const name of ['REDIS_URL', 'REDIS_CACHE_URL'] as const) {
      for (const refusal of await tryPasswords(addresses(old)[name])) t.match(refusal, /WRONGPASS/);
      t.same(new Set(await tryPasswords(addresses(next)[name])), new Set(['PONG']));
    }
    await more(10);
    await stores.redis.down();
    await stores.redis.up();
    for (const refusal of await tryPasswords(addresses(old).REDIS_URL))
      t.match(refusal, /WRONGPASS/, 'also after a restart of Redis');
    await more(10);
    enough.abort();
    await flow;
    await allDone();
    const calls = recorder.calls.length;
    t.equal(calls, accepted.length * stepsEach, 'every step of every accepted run once');
    t.equal(new Set(recorder.calls).size, calls);
    t.comment(`${accepted.length} runs accepted and completed, ${calls} steps, none repeated`);
  });

  await t.test('what cannot be done says why', async (t) => {
    const run = (args: string[], env: Record<string, string>) => flowstate(['redis', ...args], env);
    const [server, refused, good] = [servers, addresses(old), addresses(next)].map((all) => serversOf(all)[0]);
    if (server === undefined || refused === undefined || good === undefined) throw new Error('no server');
    const status = ['status', '--instance', 'queues'];
    t.match(await run(['status'], server), { code: 2, err: /--instance/ });
    t.match(await run(status, {}), { code: 2, err: /REDIS_URL/ });
    const cluster = { REDIS_URL: 'redis+cluster://127.0.0.1:7001' };
    t.match(await run(status, cluster), { code: 2, err: /REDIS_URL is a cluster's.*for each/ });
    t.match(await run([...status, '--user', 'nobody'], server), { code: 1, err: /no user nobody/ });
    t.match(await run(status, refused), { code: 1, err: /WRONGPASS/ });
    const short = join(folder, 'short');
    await writeFile(short, 'short');
    const add = ['add-password', '--instance', 'queues', '--new-password-file'];
    t.match(await run([...add, short], good), { code: 2, err: /24 printable/ });
    const admin = new Redis(server.REDIS_URL);
    t.teardown(() => admin.disconnect());
    await admin.acl('SETUSER', 'plain', 'on', `>${old}`, '~*', '+@all', '-@dangerous', '-@admin');
    const plain = new URL(server.REDIS_URL);
    plain.username = 'plain';
    plain.password = old;
    t.match(await run([...add, newFile], { REDIS_URL: plain.href }), { code: 1, err: /may not administer users/ });
    const byAdmin = { REDIS_URL: plain.href, REDIS_ADMIN_URL: server.REDIS_URL };
    t.match(await run([...add, newFile], byAdmin), { code: 0, out: /plain has the new password/ });
  });
}
