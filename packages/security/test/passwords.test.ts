import t from 'tap';
import { createPasswords } from '../src/index.ts';

const passwords = createPasswords();

t.test('a password is argon2id, and proves itself in any Unicode spelling', async (t) => {
  const hash = await passwords.hash('caf\u00e9 au lait \ud83e\udd5b');
  t.match(hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  t.ok(await passwords.verify(hash, 'cafe\u0301 au lait \ud83e\udd5b'));
  t.notOk(await passwords.verify(hash, 'cafe au lait \ud83e\udd5b'));
  t.notOk(await passwords.verify(hash, ''));
});

t.test('nobody has no password, and finding that out takes as long', async (t) => {
  const hash = await passwords.hash('right');
  const times = { known: [] as number[], unknown: [] as number[] };
  // Alternating, so that whatever else the machine does falls on both.
  for (let i = 0; i < 9; i++) {
    for (const [kind, stored] of [
      ['known', hash],
      ['unknown', null],
    ] as const) {
      const began = performance.now();
      t.notOk(await passwords.verify(stored, 'wrong'));
      times[kind].push(performance.now() - began);
    }
  }
  const median = (list: number[]) => list.toSorted((a, b) => a - b)[4] as number;
  const ratio = median(times.unknown) / median(times.known);
  t.ok(ratio > 0.5 && ratio < 2, `unknown takes ${ratio.toFixed(2)} of known (${median(times.known).toFixed(1)} ms)`);
});
