import { AnyId, InteractionInput, Timestamp, type Interaction } from '@flowstate/contracts';
import { defineAgent } from '@flowstate/workflow';
import Type, { type Static } from 'typebox';
import { createCrm, customerPath, maxRows } from '../crm.ts';
import { exchangesOf, responseTimes } from './conversations.ts';
import { inlineRows } from './inline-facts.ts';
import { InteractionFacts } from './interaction-facts.ts';
import { NextAction, nextActions } from './next-actions.ts';
import { openQuestions } from './open-questions.ts';
import { scoreMessages, sentimentTrend } from './sentiment-trend.ts';
import { comparedSpans, compareText, recentDays, within, type Span, type Timed } from './time-span.ts';
import { dayMs, daysBetween, timeOf } from './timestamps.ts';
import { countTopics } from './topics.ts';

const closed = { additionalProperties: false };
const InteractionAgentInput = Type.Object(
  {
    customerId: AnyId,
    asOf: Timestamp,
    interactions: Type.Optional(Type.Array(InteractionInput, { description: 'inline facts; else they are read' })),
  },
  closed,
);

export const InteractionResult = Type.Object(
  { ...InteractionFacts.properties, nextActions: Type.Array(NextAction) },
  closed,
);
export type InteractionResult = Static<typeof InteractionResult>;

const shownQuestions = 20;

/** Reads what a customer said and what was answered: mood, topics, open questions, silence, response times. */
export const interactionAgent = defineAgent({
  name: 'interaction',
  description: 'Sentiment and its trend, topics, open questions, silence, response times and next actions',
  input: InteractionAgentInput,
  output: InteractionResult,
  async run(ctx, { customerId, asOf, interactions }) {
    const { rows, truncated } = interactions
      ? { rows: inlineRows(interactions), truncated: false }
      : await createCrm(ctx.backend, ctx.signal).interactions(customerId);
    const query = interactions ? 'input.facts.interactions' : `${customerPath(customerId)}/interactions`;
    const source = { truncated, evidence: { kind: 'interaction' as const, query, count: rows.length } };
    const facts = await readInteractions(rows, source, timeOf(asOf), ctx.signal);
    return { ...facts, nextActions: nextActions(customerId, facts) };
  },
});

async function readInteractions(
  given: readonly Interaction[],
  source: Pick<InteractionFacts['read'], 'truncated' | 'evidence'>,
  now: number,
  signal: AbortSignal,
): Promise<InteractionFacts> {
  const rows = given
    .map((row) => ({ row, time: timeOf(row.at) }))
    .filter(({ time }) => time <= now)
    .sort((a, b) => b.time - a.time || compareText(a.row.id, b.row.id));
  const messages = await scoreMessages(
    rows.filter(({ row }) => row.direction === 'inbound'),
    signal,
  );
  const spans = comparedSpans(now);
  const exchanges = exchangesOf(rows);
  const response = (span: Span) => responseTimes(exchanges.filter(({ inbound }) => within(inbound, span)));
  const { ids: _, ...allResponses } = responseTimes(exchanges);
  const questions = openQuestions(exchanges, now);
  const earlier = now - recentDays * dayMs;
  const earlierQuestions = openQuestions(exchangesOf(rows.filter(({ time }) => time <= earlier)), earlier);
  return {
    read: {
      interactions: rows.length,
      inbound: messages.length,
      outbound: rows.length - messages.length,
      later: given.length - rows.length,
      limit: maxRows,
      ...source,
    },
    volume: { recent: countIn(rows, spans.recent), previous: countIn(rows, spans.previous) },
    sentiment: sentimentTrend(messages, now),
    topics: countTopics(messages),
    openQuestions: { ...counted(questions), items: questions.slice(0, shownQuestions) },
    openQuestionsBefore: { ...counted(earlierQuestions), asOf: new Date(earlier).toISOString() },
    silence: silenceOf(rows, now),
    response: { all: allResponses, recent: response(spans.recent), previous: response(spans.previous) },
  };
}

/** Rows come newest first. */
function silenceOf(rows: readonly Timed[], now: number): InteractionFacts['silence'] {
  const last = (direction?: Interaction['direction']) => {
    const found = rows.find(({ row }) => direction === undefined || row.direction === direction);
    return found === undefined ? null : { id: found.row.id, at: found.row.at, days: daysBetween(found.time, now) };
  };
  return { last: last(), lastInbound: last('inbound'), lastOutbound: last('outbound') };
}

type Count = InteractionFacts['volume']['recent'];

function countIn(rows: readonly Timed[], span: Span): Count {
  return counted(rows.filter((row) => within(row, span)).map(({ row }) => row));
}

function counted(rows: readonly { id: string }[]): Count {
  return { count: rows.length, ids: rows.map(({ id }) => id) };
}
