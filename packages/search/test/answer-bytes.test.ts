import type { SearchAnswer, SearchHit } from '@flowstate/contracts';
import t from 'tap';
import { answerBytes, hitsBytes } from '../src/answer-bytes.ts';

const hit: SearchHit = {
  id: '01900000-0000-7000-8000-000000000000',
  externalId: null,
  collection: 'notes',
  title: 'naïve “quotes”',
  text: '日本語 😀 — two bytes, three and four',
  metadata: { π: [3.14] },
  similarity: 0.5,
};
const timings = { totalMs: 1, embedMs: null, cacheMs: 0.5, sqlMs: 0.25 };

t.test('an answer’s bytes are its JSON, whatever was answered with the same hits before', async (t) => {
  for (const items of [[], [hit], [hit, { ...hit, title: '' }]]) {
    const answers: SearchAnswer[] = [
      { model: 'm', items, cache: 'miss' },
      { model: 'm', items, cache: 'hit' },
      { model: 'm', items, cache: 'hit' },
      { model: 'm', items, cache: 'hit', timings, clamped: { limit: 3 } },
      { model: 'm', items, cache: 'hit' },
    ];
    for (const answer of answers) {
      t.same(JSON.parse(answerBytes(answer).toString()), answer);
      t.equal(hitsBytes(items).toString(), JSON.stringify(items));
    }
  }
});

t.test('equal answers are the same bytes, not made again', async (t) => {
  const items = [hit];
  const first = answerBytes({ model: 'm', items, cache: 'hit' });
  t.equal(answerBytes({ model: 'm', items, cache: 'hit' }), first);
  t.not(answerBytes({ model: 'm', items, cache: 'miss' }), first);
});
