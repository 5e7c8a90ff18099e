import { Nullable, Timestamp } from '@flowstate/contracts';
import Type, { type Static } from 'typebox';
import { ResponseTimes } from './conversations.ts';
import { Evidence } from './evidence.ts';
import { OpenQuestion } from './open-questions.ts';
import { SentimentTrend } from './sentiment-trend.ts';
import { TopicCount } from './topics.ts';

const closed = { additionalProperties: false };
const Count = Type.Object({ count: Type.Integer(), ids: Type.Array(Type.String()) }, closed);
const Last = Type.Object({ id: Type.String(), at: Timestamp, days: Type.Integer() }, closed);

/** What the interaction agent reads out of a customer's messages, before anything is made of it. */
export const InteractionFacts = Type.Object(
  {
    read: Type.Object(
      {
        interactions: Type.Integer(),
        inbound: Type.Integer(),
        outbound: Type.Integer(),
        later: Type.Integer({ description: 'left out because they lie after `asOf`' }),
        truncated: Type.Boolean({ description: 'there were more than `limit`; the newest were read' }),
        limit: Type.Integer(),
        evidence: Evidence,
      },
      closed,
    ),
    volume: Type.Object({ recent: Count, previous: Count }, closed),
    sentiment: SentimentTrend,
    topics: Type.Array(TopicCount),
    openQuestions: Type.Object({ ...Count.properties, items: Type.Array(OpenQuestion) }, closed),
    openQuestionsBefore: Type.Object({ ...Count.properties, asOf: Timestamp }, closed),
    silence: Type.Object({ last: Nullable(Last), lastInbound: Nullable(Last), lastOutbound: Nullable(Last) }, closed),
    response: Type.Object(
      { all: Type.Omit(ResponseTimes, ['ids']), recent: ResponseTimes, previous: ResponseTimes },
      closed,
    ),
  },
  closed,
);
export type InteractionFacts = Static<typeof InteractionFacts>;
