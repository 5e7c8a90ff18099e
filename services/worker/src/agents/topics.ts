import { Nullable, type Interaction } from '@flowstate/contracts';
import Type, { type Static } from 'typebox';
import { oneLine, sentencesOf, withoutQuotedReply } from './plain-text.ts';
import { sentimentLabel } from './sentiment.ts';
import type { ScoredMessage } from './sentiment-trend.ts';
import { mean, round } from './statistics.ts';
import { topics, type Topic } from './topic-lexicon.ts';

/** Topics are read from this many of the newest inbound messages: what moves a customer now. */
const topicMessages = 200;
const shown = 8;

export const TopicCount = Type.Object(
  {
    topic: Type.String(),
    label: Type.String(),
    messages: Type.Integer(),
    ids: Type.Array(Type.String(), { description: 'the messages, newest first' }),
    negativeIds: Type.Array(Type.String(), { description: 'those of them with a negative sentiment' }),
    sentiment: Nullable(Type.Number()),
    example: Type.Object(
      { id: Type.String(), text: Type.String() },
      { additionalProperties: false, description: 'the sentence that names the topic in the least happy message' },
    ),
  },
  { additionalProperties: false },
);
export type TopicCount = Static<typeof TopicCount>;

const matchers = topics.map((topic) => ({ topic, expression: expressionOf(topic) }));

/** Topics of the newest messages (given newest first), the most frequent first, at most eight. */
export function countTopics(messages: readonly ScoredMessage[]): TopicCount[] {
  const newest = messages.slice(0, topicMessages).map((message) => ({ message, text: textOf(message.row) }));
  const found = matchers.flatMap(({ topic, expression }) => {
    const hits = newest.filter(({ text }) => expression.test(text));
    return hits.length === 0 ? [] : [countOf(topic, expression, hits)];
  });
  // Equal counts keep the lexicon's order, so that the same facts give the same report.
  return found.sort((a, b) => b.messages - a.messages).slice(0, shown);
}

/** How many different expressions of each topic a text holds; topics it holds none of are not in it. */
export function expressionsByTopic(text: string): Map<string, number> {
  return new Map(
    matchers.flatMap(({ topic, expression }) => {
      const all = text.matchAll(new RegExp(expression, 'giu'));
      const different = new Set([...all].map(([words]) => words.toLowerCase())).size;
      return different === 0 ? [] : [[topic.name, different] as const];
    }),
  );
}

function countOf(topic: Topic, expression: RegExp, hits: { message: ScoredMessage; text: string }[]): TopicCount {
  const scores = hits.flatMap(({ message }) => (message.score === null ? [] : [message.score]));
  const average = mean(scores);
  const worst = hits.reduce((a, b) => ((b.message.score ?? 0) < (a.message.score ?? 0) ? b : a));
  const sentence = sentencesOf(worst.text).find((one) => expression.test(one)) ?? worst.text;
  return {
    topic: topic.name,
    label: topic.label,
    messages: hits.length,
    ids: hits.map(({ message }) => message.row.id),
    negativeIds: hits.filter(({ message }) => isNegative(message.score)).map(({ message }) => message.row.id),
    sentiment: average === null ? null : round(average, 4),
    example: { id: worst.message.row.id, text: oneLine(sentence, 200) },
  };
}

function isNegative(score: number | null): boolean {
  return score !== null && sentimentLabel(score) === 'negative';
}

function textOf(row: Interaction): string {
  return `${row.subject ?? ''}\n${withoutQuotedReply(row.text, 4_000)}`;
}

function expressionOf(topic: Topic): RegExp {
  const longestFirst = topic.expressions.toSorted((a, b) => b.length - a.length);
  return new RegExp(`(?<![\\p{L}\\p{N}])(?:${longestFirst.join('|')})(?![\\p{L}\\p{N}])`, 'iu');
}
