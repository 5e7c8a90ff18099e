import type { SearchAnswer, SearchHit } from '@flowstate/contracts';

const texts = new WeakMap<readonly SearchHit[], string>();

/** JSON of what was found, made once however often it is stored and answered. */
export function hitsText(hits: readonly SearchHit[]): string {
  let text = texts.get(hits);
  if (text === undefined) {
    text = JSON.stringify(hits);
    texts.set(hits, text);
  }
  return text;
}

/** JSON of an answer by `Search`: only what differs from one asker to the next is written anew. */
export function answerText({ items, ...rest }: SearchAnswer): string {
  return `{"items":${hitsText(items)},${JSON.stringify(rest).slice(1)}`;
}
