import { parseRetryAfter } from '@flowstate/contracts';
import t from 'tap';
import { dayOfRetries, retryDelay } from '../src/webhooks/retry-schedule.ts';

t.test('a day of tries, ever further apart up to an hour', async (t) => {
  const delays: number[] = [];
  let ageMs = 0;
  for (;;) {
    const delay = retryDelay(dayOfRetries, { failures: delays.length + 1, ageMs, retryAfterMs: null });
    if (delay === null) break;
    delays.push(delay);
    ageMs += delay;
  }
  const seconds = delays.map((delay) => delay / 1000);
  for (const [index, expected] of [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600].entries()) {
    t.ok((seconds[index] as number) >= expected * 0.8 && (seconds[index] as number) <= expected * 1.2, `${expected} s`);
  }
  t.ok(ageMs <= 24 * 3_600_000 && ageMs > 22 * 3_600_000);
  t.ok(new Set(delays).size > 5, 'with jitter');
});

t.test('Retry-After in both its forms', async (t) => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  t.equal(parseRetryAfter('120', now), 120_000);
  t.equal(parseRetryAfter('Thu, 01 Jan 2026 00:01:00 GMT', now), 60_000);
  t.equal(parseRetryAfter('Wed, 31 Dec 2025 00:00:00 GMT', now), 0);
  for (const nothing of [undefined, 'soon', '-5', ['1', '2']]) t.equal(parseRetryAfter(nothing, now), null);
});

t.test('an endpoint may ask for more time, not for less, and not for ever', async (t) => {
  const asked = (retryAfterMs: number) => retryDelay(dayOfRetries, { failures: 1, ageMs: 0, retryAfterMs }) ?? 0;
  t.equal(asked(60_000), 60_000);
  t.ok(asked(0) >= 4_000);
  t.equal(asked(999_999_999), 3_600_000);
});
