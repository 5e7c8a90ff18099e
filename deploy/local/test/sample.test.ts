import t from 'tap';
import { movedToEndAt } from '../src/sample.ts';

t.test('the set ends when it is loaded, and nothing lies after that', (t) => {
  const end = Date.parse('2026-11-24T06:30:00Z');
  const text = 'x,2026-01-31T18:00:00Z,2026-01-31,won@2026-01-01;{"at":"2025-12-31T18:00:00Z"}';
  // The span is 296 days and 12:30 hours.
  t.equal(movedToEndAt(text, end), 'x,2026-11-24T06:30:00Z,2026-11-23,won@2026-10-24;{"at":"2026-10-24T06:30:00Z"}');
  t.end();
});

t.test('what is no date stays', (t) => {
  const text = 'I-0001,tel 555-2026-01-3, 12026-01-31x';
  t.equal(movedToEndAt(text, Date.parse('2027-01-31T18:00:00Z')), text);
  t.end();
});
