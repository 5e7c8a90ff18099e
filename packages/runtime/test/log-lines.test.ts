import t from 'tap';
import { messageOf, readableLine } from '../src/log-lines.ts';

const entry = {
  level: 'warn',
  time: '2026-01-31T18:00:00.000Z',
  service: 'worker',
  msg: 'run handed back',
  runId: 'r1',
  n: 2,
};
const plain = { colour: false };

t.test('JSON lines become readable, with their fields', (t) => {
  const line = readableLine('worker', JSON.stringify(entry), plain);
  t.match(line, /^\d\d:\d\d:\d\d worker {6}WARN {2}run handed back runId=r1 n=2$/);
  t.notMatch(line, 'service=');
  t.end();
});

t.test('an error shows its stack below', (t) => {
  const err = { type: 'Error', message: 'gone', stack: 'Error: gone\n    at x' };
  t.match(readableLine('worker', JSON.stringify({ ...entry, err }), plain), /n=2\n {4}Error: gone\n {8}at x$/);
  t.match(readableLine('worker', JSON.stringify({ ...entry, err: 'short' }), plain), /n=2 err=short$/);
  t.equal(messageOf(JSON.stringify({ ...entry, err })), 'run handed back: gone');
  t.end();
});

t.test('whatever else a process writes passes through', (t) => {
  for (const line of ['plain text', '{"half": ', '{"some": "json"}', '', '[1]']) {
    t.ok(readableLine('gateway', line, plain).endsWith(`gateway     ${line}`.padEnd(12)) || line === '', line);
    t.equal(messageOf(line), line);
  }
  t.end();
});

t.test('colours only where they are wanted', (t) => {
  t.match(readableLine('worker', JSON.stringify(entry), { colour: true }), '\u001b[');
  t.notMatch(readableLine('worker', JSON.stringify(entry), plain), '\u001b[');
  t.end();
});
