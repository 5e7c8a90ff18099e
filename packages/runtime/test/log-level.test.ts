import { setImmediate as turn } from 'node:timers/promises';
import { pino } from 'pino';
import t from 'tap';
import { followLogLevel } from '../src/log-level.ts';

type Wanted = Awaited<ReturnType<Parameters<typeof followLogLevel>[0]['read']>>;

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turn();
}

t.test('a level is followed, and ends by the time that passed, whatever the clock and the store do', async (t) => {
  const log = pino({ level: 'info' }, { write: () => {} });
  let wanted: Wanted | Error = null;
  let reads = 0;
  const following = followLogLevel({
    log,
    normal: 'info',
    everyMs: 1,
    read: async () => {
      reads += 1;
      if (wanted instanceof Error) throw wanted;
      return wanted;
    },
  });
  t.teardown(() => following.stop());
  wanted = { level: 'debug', remainingMs: null };
  await until(() => log.level === 'debug');
  wanted = null;
  await until(() => log.level === 'info');

  wanted = { level: 'trace', remainingMs: 100 };
  await until(() => log.level === 'trace');
  wanted = new Error('the store is away');
  const now = Date.now;
  t.teardown(() => (Date.now = now));
  // A clock that is set ahead a day, and then back: neither ends it early nor keeps it.
  Date.now = () => now() + 86_400_000;
  const before = reads;
  await until(() => reads > before);
  Date.now = () => now() - 86_400_000;
  await until(() => log.level === 'info');
  Date.now = now;

  wanted = { level: 'error', remainingMs: null };
  await until(() => log.level === 'error');
  wanted = new Error('the store is away');
  const then = reads;
  await until(() => reads > then + 3);
  t.equal(log.level, 'error', 'without an end it stays while nobody knows better');
});
