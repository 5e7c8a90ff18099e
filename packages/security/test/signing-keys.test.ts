import type { KeyHolder, KeyRecord } from '@flowstate/store';
import t from 'tap';
import { judgeKeys } from '../src/index.ts';

const now = new Date('2026-11-26T12:00:00Z');
const ago = (seconds: number) => new Date(now.getTime() - seconds * 1000);
const key = (changed: Partial<KeyRecord> = {}): KeyRecord => ({
  kid: 'old',
  firstSeenAt: ago(86_400),
  lastVerifiedAt: null,
  lastSignedAt: null,
  lastExpiry: null,
  killedAt: null,
  killReason: null,
  ...changed,
});
const holder = (gateway: string, changed: Partial<KeyHolder> = {}): KeyHolder => ({
  kid: 'old',
  gateway,
  name: `host:${gateway}`,
  signs: false,
  verifiedRecently: 3,
  seenAt: ago(1),
  policyAt: ago(1),
  ...changed,
});
const verdictOf = (record: KeyRecord, ...holders: KeyHolder[]) => judgeKeys({ now, keys: [record], holders }).items[0];

t.test('a key is safe to retire only when no good token of it can be about', async (t) => {
  const signed = { lastSignedAt: ago(900), lastExpiry: ago(60) };
  t.match(verdictOf(key(signed), holder('1')), { verdict: 'safe to retire', safeToRetire: true, verifiedRecently: 3 });
  t.match(verdictOf(key({ ...signed, lastExpiry: ago(10) }), holder('1')), { safeToRetire: false }, 'clocks differ');
  t.match(verdictOf(key({ ...signed, lastExpiry: ago(-600) }), holder('1')), { why: [/good until/] });
  t.match(verdictOf(key(signed), holder('1'), holder('2', { signs: true })), { why: [/1 of 2 gateways sign/] });
  t.match(
    verdictOf(key(signed), holder('1'), holder('2', { signs: true, seenAt: ago(120) })),
    { safeToRetire: false, why: [/good until 2026-11-26T12:13:35/, /host:2 died at .*11:58:00/] },
    'a killed gateway may have signed until its end',
  );
  t.match(verdictOf(key(signed), holder('1'), holder('2', { signs: true, seenAt: ago(3600) })), { safeToRetire: true });
});

t.test('what should not be is said', async (t) => {
  const signed = { lastSignedAt: ago(9000), lastExpiry: ago(7200), lastVerifiedAt: ago(5) };
  t.match(verdictOf(key(signed), holder('1')), { why: [/expired/, /somebody else signs with it/] });
  t.match(verdictOf(key({ lastExpiry: ago(-600) })), { state: 'unheld', verdict: 'retired too early', gateways: [] });
  const other = holder('2', { kid: 'next', signs: true });
  t.match(
    verdictOf(key(), holder('1', { signs: true }), other),
    { state: 'signing', safeToSign: false, why: [/1 of 2 gateways sign/, /1 of 2 gateways do not hold it/] },
    'a gateway refuses the tokens of another',
  );
  t.match(verdictOf(key({ killedAt: ago(60), killReason: 'leaked' }), holder('1', { signs: true })), {
    state: 'killed',
    safeToRetire: false,
    why: [/leaked/, /host:1/],
  });
});
