import t from 'tap';
import { createLedgerClock } from '../src/ledger-clock.ts';

t.test('an answer that was long on its way sets the clock back by nothing', (t) => {
  let elapsed = 0;
  const clock = createLedgerClock(() => elapsed);
  clock.heard(1_000_000);
  elapsed = 400;
  clock.heard(1_000_400 - 150); // read 150 ms after it was said
  t.equal(clock.now(), 1_000_400);
  elapsed = 500;
  t.equal(clock.now(), 1_000_500);
  t.end();
});

t.test('a clock that was set back is followed within some heartbeats', (t) => {
  let elapsed = 0;
  const clock = createLedgerClock(() => elapsed);
  clock.heard(5_000);
  for (let beat = 1; beat <= 16; beat++) {
    elapsed = beat * 400;
    clock.heard(4_000 + elapsed);
  }
  t.equal(clock.now(), 4_000 + elapsed);
  t.end();
});
