import { Nullable, OneOf, Timestamp } from '@flowstate/contracts';
import { setImmediate } from 'node:timers/promises';
import Type, { type Static } from 'typebox';
import { oneLine } from './plain-text.ts';
import { sentimentLabel, sentimentOf } from './sentiment.ts';
import { mean, round } from './statistics.ts';
import { comparedSpans, within, type Span, type Timed } from './time-span.ts';

/** An inbound message with its sentiment, null when it cannot be judged. */
export type ScoredMessage = Timed & { score: number | null };

const Scores = Type.Object(
  {
    count: Type.Integer(),
    mean: Nullable(Type.Number()),
    positive: Type.Integer(),
    neutral: Type.Integer(),
    negative: Type.Integer(),
    ids: Type.Array(Type.String()),
  },
  { additionalProperties: false },
);

export const SentimentTrend = Type.Object(
  {
    all: Type.Omit(Scores, ['ids']),
    recent: Scores,
    previous: Scores,
    unscored: Type.Integer({ description: 'inbound messages that are not English or hold no words' }),
    change: Nullable(Type.Number({ description: 'recent mean minus previous mean' })),
    trend: OneOf(['improving', 'stable', 'worsening', 'unknown']),
    mostNegative: Type.Array(
      Type.Object(
        { id: Type.String(), at: Timestamp, score: Type.Number(), excerpt: Type.String() },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
);
export type SentimentTrend = Static<typeof SentimentTrend>;

/** A mean of fewer messages says nothing about a trend. */
const trendMinimum = 3;
/** Change of the mean that counts as a trend: the width of the band that VADER's authors call neutral. */
const trendThreshold = 0.1;
const excerpts = 3;

/** Scores messages, letting others run in between: thousands of them take the better part of a second. */
export async function scoreMessages(rows: readonly Timed[], signal: AbortSignal): Promise<ScoredMessage[]> {
  const messages: ScoredMessage[] = [];
  for (const { row, time } of rows) {
    if (messages.length % 50 === 49) {
      await setImmediate();
      signal.throwIfAborted();
    }
    messages.push({ row, time, score: sentimentOf(row.text) });
  }
  return messages;
}

/** Mean sentiment of the last thirty days before `now` against the ninety before. */
export function sentimentTrend(messages: readonly ScoredMessage[], now: number): SentimentTrend {
  const scored = messages.flatMap(({ row, time, score }) => (score === null ? [] : [{ row, time, score }]));
  const spans = comparedSpans(now);
  const recentMessages = scored.filter((message) => within(message, spans.recent));
  const recent = scoresOf(scored, spans.recent);
  const previous = scoresOf(scored, spans.previous);
  const { ids: _, ...all } = scoresOf(scored, { from: -Infinity, to: now });
  const change = recent.mean === null || previous.mean === null ? null : round(recent.mean - previous.mean, 4);
  const enough = recent.count >= trendMinimum && previous.count >= trendMinimum;
  return {
    all,
    recent,
    previous,
    unscored: messages.length - scored.length,
    change,
    trend: change === null || !enough ? 'unknown' : trendOf(change),
    mostNegative: recentMessages
      .filter(({ score }) => sentimentLabel(score) === 'negative')
      .sort((a, b) => a.score - b.score)
      .slice(0, excerpts)
      .map(({ row, score }) => ({ id: row.id, at: row.at, score, excerpt: oneLine(row.text, 200) })),
  };
}

function scoresOf(scored: readonly (Timed & { score: number })[], span: Span): Static<typeof Scores> {
  const inside = scored.filter((message) => within(message, span));
  const average = mean(inside.map(({ score }) => score));
  const count = (label: string) => inside.filter(({ score }) => sentimentLabel(score) === label).length;
  return {
    count: inside.length,
    mean: average === null ? null : round(average, 4),
    positive: count('positive'),
    neutral: count('neutral'),
    negative: count('negative'),
    ids: inside.map(({ row }) => row.id),
  };
}

function trendOf(change: number): 'improving' | 'stable' | 'worsening' {
  if (change >= trendThreshold) return 'improving';
  return change <= -trendThreshold ? 'worsening' : 'stable';
}
