import t from 'tap';
import { dueTimes, nextTime, recurrenceErrors, type Recurrence } from '../src/index.ts';

const at = (time: string) => new Date(time);
const now = at('2026-11-26T10:00:00.000Z');

function recurrence(overrides: Partial<Recurrence>): Recurrence {
  return { cron: null, everyMs: null, timezone: 'UTC', createdAt: now, startAt: null, endAt: null, ...overrides };
}

/** The first `count` times after `after`. */
function timesOf(overrides: Partial<Recurrence>, after: string, count: number): string[] {
  const times: string[] = [];
  for (let last = at(after); times.length < count;) {
    const next = nextTime(recurrence(overrides), last);
    if (next === null) break;
    times.push(next.toISOString().replace('.000Z', 'Z'));
    last = next;
  }
  return times;
}

t.test('spring: a fixed time in the hour left out happens at its end, and once', async (t) => {
  const berlin = { timezone: 'Europe/Berlin' };
  // 02:00 to 03:00 does not exist on 29 March 2026.
  t.same(timesOf({ cron: '30 2 * * *', ...berlin }, '2026-03-28T00:00:00Z', 3), [
    '2026-03-28T01:30:00Z',
    '2026-03-29T01:00:00Z',
    '2026-03-30T00:30:00Z',
  ]);
  t.same(timesOf({ cron: '15,45 2 * * *', ...berlin }, '2026-03-29T00:00:00Z', 2), [
    '2026-03-29T01:00:00Z',
    '2026-03-30T00:15:00Z',
  ]);
  t.same(
    timesOf({ cron: '*/30 * * * *', ...berlin }, '2026-03-29T00:00:00Z', 3),
    ['2026-03-29T00:30:00Z', '2026-03-29T01:00:00Z', '2026-03-29T01:30:00Z'],
    'every half hour stays every half hour',
  );
});

t.test('autumn: a fixed time in the hour repeated happens once, at the first', async (t) => {
  const newYork = { timezone: 'America/New_York' };
  // 01:00 to 02:00 comes twice on 1 November 2026.
  t.same(timesOf({ cron: '30 1 * * *', ...newYork }, '2026-10-31T12:00:00Z', 2), [
    '2026-11-01T05:30:00Z',
    '2026-11-02T06:30:00Z',
  ]);
  t.same(
    timesOf({ cron: '0 * * * *', ...newYork }, '2026-11-01T04:30:00Z', 3),
    ['2026-11-01T05:00:00Z', '2026-11-01T06:00:00Z', '2026-11-01T07:00:00Z'],
    'every hour stays every hour',
  );
  t.same(
    timesOf({ everyMs: 86_400_000, ...newYork, startAt: at('2026-10-31T05:30:00Z') }, '2026-10-31T00:00:00Z', 3),
    ['2026-10-31T05:30:00Z', '2026-11-01T05:30:00Z', '2026-11-02T05:30:00Z'],
    'an interval knows no clocks',
  );
});

t.test('start and end belong to it', async (t) => {
  const startAt = at('2026-12-01T06:00:00Z');
  const endAt = at('2026-12-02T06:00:00Z');
  const both = ['2026-12-01T06:00:00Z', '2026-12-02T06:00:00Z'];
  t.same(timesOf({ cron: '0 6 * * *', startAt, endAt }, now.toISOString(), 5), both);
  t.same(timesOf({ everyMs: 86_400_000, startAt, endAt }, now.toISOString(), 5), both);
  t.same(
    timesOf({ everyMs: 1_500 }, now.toISOString(), 2),
    ['2026-11-26T10:00:01.500Z', '2026-11-26T10:00:03Z'],
    'without a start the creation is not the first time',
  );
  t.same(timesOf({ cron: '*/20 * * * * *' }, now.toISOString(), 2), ['2026-11-26T10:00:20Z', '2026-11-26T10:00:40Z']);
});

t.test('what was due is told from the latest', async (t) => {
  const due = (overrides: Partial<Recurrence>, limit: number, until: string, first = '2026-11-26T10:00:00Z') => {
    const { times, count } = dueTimes(recurrence(overrides), { first: at(first), until: at(until), limit });
    return [times.map((time) => time.toISOString().slice(11, 19)), count];
  };
  const minutely = { cron: '* * * * *' };
  t.same(due(minutely, 5, '2026-11-26T10:00:59Z'), [['10:00:00'], 1]);
  t.same(due(minutely, 5, '2026-11-26T10:02:00Z'), [['10:00:00', '10:01:00', '10:02:00'], 3], 'the last one included');
  t.same(due(minutely, 2, '2026-11-26T10:09:30Z'), [['10:08:00', '10:09:00'], 3], 'one more than asked for is known');
  t.same(due({ ...minutely, endAt: at('2026-11-26T10:01:30Z') }, 5, '2026-11-26T11:00:00Z'), [
    ['10:00:00', '10:01:00'],
    2,
  ]);
  const everyMinute = { everyMs: 60_000 };
  t.same(due(everyMinute, 2, '2026-11-26T10:09:30Z'), [['10:08:00', '10:09:00'], 10], 'an interval is counted exactly');
  t.same(due({ ...everyMinute, endAt: at('2026-11-26T10:01:30Z') }, 5, '2026-11-26T11:00:00Z'), [
    ['10:00:00', '10:01:00'],
    2,
  ]);
  t.same(due(everyMinute, 3, '2026-11-26T10:01:00Z', '2026-11-26T10:00:30Z'), [['10:00:30', '10:01:00'], 2]);
  t.same(due({ everyMs: 1_000 }, 1, '2036-11-26T10:00:00Z'), [['10:00:00'], 315_619_201], 'ten years take no time');
});

t.test('what never fires, or cannot be read, is named', async (t) => {
  const errorsOf = (overrides: Partial<Recurrence>) =>
    recurrenceErrors(recurrence(overrides), now).map(({ field, message }) => `${field} ${message}`);
  t.same(errorsOf({ cron: '0 6 * * MON-FRI', timezone: 'Europe/Berlin' }), []);
  t.same(errorsOf({ cron: '@daily' }), []);
  t.same(errorsOf({ cron: '0 0 29 2 *' }), [], 'in a leap year');
  t.same(errorsOf({ cron: '0 0 30 2 *' }), ['cron never fires']);
  t.same(errorsOf({ cron: '0 0 1 1 *', endAt: at('2026-12-31T00:00:00Z') }), [
    'cron never fires between startAt and endAt',
  ]);
  t.same(errorsOf({ everyMs: 60_000, endAt: at('2026-11-26T10:00:30Z') }), [
    'everyMs never fires between startAt and endAt',
  ]);
  t.match(errorsOf({ cron: '61 * * * *' }), [/^cron is not a cron pattern: Invalid value for minute/]);
  t.match(errorsOf({ cron: 'every day' }), [/^cron is not a cron pattern: /]);
  t.match(errorsOf({ cron: '@reboot' }), [/^cron is not a cron pattern: /]);
  t.same(errorsOf({ cron: '2027-01-01T00:00:00Z' }), ['cron must be a cron pattern']);
  t.same(errorsOf({}), ['cron or everyMs is required']);
  t.same(errorsOf({ cron: '* * * * *', everyMs: 1_000 }), ['cron and everyMs exclude each other']);
  for (const timezone of ['Mars/Olympus', '+02:00', 'Europe', '']) {
    t.same(errorsOf({ cron: '* * * * *', timezone }), ['timezone is not a known IANA time zone'], timezone);
  }
  t.same(errorsOf({ cron: '* * * * *', endAt: now }), ['endAt is past']);
  t.same(errorsOf({ cron: '* * * * *', startAt: at('2027-02-01'), endAt: at('2027-01-01') }), [
    'endAt is before startAt',
  ]);
  t.same(errorsOf({ cron: '* * * * *', startAt: new Date('no'), endAt: new Date('no') }), [
    'startAt is not a time',
    'endAt is not a time',
  ]);
});
