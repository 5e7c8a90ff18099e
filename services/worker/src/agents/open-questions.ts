import { Nullable, OneOf, Timestamp, channels } from '@flowstate/contracts';
import Type, { type Static } from 'typebox';
import type { Exchange } from './conversations.ts';
import { oneLine, sentencesOf, withoutQuotedReply } from './plain-text.ts';
import { compareText } from './time-span.ts';
import { daysBetween } from './timestamps.ts';

export const OpenQuestion = Type.Object(
  {
    id: Type.String({ description: 'the interaction that asks' }),
    at: Timestamp,
    channel: OneOf(channels),
    thread: Nullable(Type.String()),
    question: Type.String(),
    days: Type.Integer({ description: 'whole days it has waited' }),
  },
  { additionalProperties: false },
);
export type OpenQuestion = Static<typeof OpenQuestion>;

// A question mark of any script that ends something; one inside an address (`?page=2`) does not.
const questionMark = /[?？؟⁇⁈‽՞]["'!?？.\p{Pe}\p{Pf}]*$/u;
// Greek asks with a semicolon, which elsewhere ends no sentence.
const greekQuestion = /\p{Script=Greek}.*[;\u037E]$/u;
const request =
  /^(?:hi |hello |and |so |also,? |but )?(?:can|could|would|will) (?:you|someone|anybody|anyone)\b|^please (?:advise|confirm|let (?:me|us) know|tell (?:me|us)|explain)\b|\b(?:do you know|any (?:update|news)|let (?:me|us) know (?:how|when|if|whether|what|why|where))\b/i;

/** The first question a message asks, as it stands in it; null when it asks none. */
export function questionIn(message: string): string | null {
  const sentences = sentencesOf(withoutQuotedReply(message, 8_000));
  return sentences.find((sentence) => /\p{L}/u.test(sentence) && asks(sentence)) ?? null;
}

function asks(sentence: string): boolean {
  return questionMark.test(sentence) || greekQuestion.test(sentence) || request.test(sentence);
}

/** Inbound questions nobody has replied to, the oldest first: it has waited longest. */
export function openQuestions(exchanges: readonly Exchange[], now: number): OpenQuestion[] {
  return exchanges
    .filter(({ reply }) => reply === null)
    .sort((a, b) => a.inbound.time - b.inbound.time || compareText(a.inbound.row.id, b.inbound.row.id))
    .flatMap(({ inbound: { row, time } }) => {
      const question = questionIn(row.text);
      if (question === null) return [];
      const { id, at, channel, thread = null } = row;
      return [{ id, at, channel, thread, question: oneLine(question, 300), days: daysBetween(time, now) }];
    });
}
