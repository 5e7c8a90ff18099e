import t from 'tap';
import { createLocalAnswers } from '../src/local-answers.ts';

const answerOf = (text: string, seconds = 60) => ({
  hits: [{ id: 'x', externalId: null, collection: 'c', title: null, text, metadata: {}, similarity: 1 }],
  at: Date.now(),
  until: Date.now() + seconds * 1000,
  cost: 1,
});

t.test('answers in the process are bounded in bytes; the least recently used goes first', async (t) => {
  let evicted = 0;
  const held: number[] = [];
  const answers = createLocalAnswers({
    maxBytes: 50_000,
    onEvicted: () => {
      evicted += 1;
    },
    onHeld: (bytes) => held.push(bytes),
  });
  const text = 'x'.repeat(9_000); // some 18 KB as estimated: two fit
  answers.set('a', answerOf(text));
  answers.set('b', answerOf(text));
  t.ok(answers.get('a'));
  answers.set('c', answerOf(text));
  t.same([answers.get('a') !== null, answers.get('b'), answers.get('c') !== null], [true, null, true]);
  t.equal(evicted, 1);
  for (let i = 0; i < 100; i++) answers.set(`k${i}`, answerOf(text));
  t.ok(Math.max(...held) <= 50_000 && answers.size().bytes <= 50_000, `${Math.max(...held)} bytes at most`);
  answers.set('k99', answerOf('x'.repeat(30_000)));
  t.equal(answers.get('k99'), null, 'one larger than all the room is not kept, nor the one before it');
});

t.test('what has expired is neither kept nor given, and none are kept without room', async (t) => {
  const handlers = { onEvicted() {}, onHeld() {} };
  const answers = createLocalAnswers({ maxBytes: 50_000, ...handlers });
  answers.set('a', answerOf('x', 0));
  t.equal(answers.get('a'), null);
  const none = createLocalAnswers({ maxBytes: 0, ...handlers });
  none.set('a', answerOf('x'));
  t.same([none.get('a'), none.size()], [null, { entries: 0, bytes: 0 }]);
});
