import { Nullable } from '@flowstate/contracts';
import Type, { type Static } from 'typebox';
import { percentile, round } from './statistics.ts';
import type { Timed } from './time-span.ts';
import { hourMs } from './timestamps.ts';

/** An inbound message and the first outbound one later in its conversation, if there was one. */
export type Exchange = { inbound: Timed; reply: Timed | null };

export const ResponseTimes = Type.Object(
  {
    count: Type.Integer({ description: 'inbound messages that got a reply' }),
    medianHours: Nullable(Type.Number()),
    p90Hours: Nullable(Type.Number()),
    ids: Type.Array(Type.String()),
  },
  { additionalProperties: false },
);
export type ResponseTimes = Static<typeof ResponseTimes>;

/**
 * Pairs every inbound message with the first strictly later outbound one of the same thread. Where the source keeps
 * no threads, everything on one channel counts as one conversation. Rows may come in any order.
 */
export function exchangesOf(rows: readonly Timed[]): Exchange[] {
  const conversations = Map.groupBy(rows, ({ row }) =>
    row.thread ? `thread ${row.thread}` : `channel ${row.channel}`,
  );
  const exchanges: Exchange[] = [];
  for (const conversation of conversations.values()) {
    let reply: Timed | null = null;
    let outbound: Timed | null = null;
    for (const message of conversation.toSorted((a, b) => b.time - a.time)) {
      // Going back in time; an outbound message answers nothing that came at the same moment.
      if (outbound !== null && message.time < outbound.time) reply = outbound;
      if (message.row.direction === 'outbound') outbound = message;
      else exchanges.push({ inbound: message, reply });
    }
  }
  return exchanges;
}

/** Hours from inbound to reply over the answered ones; `ids` are the inbound messages. */
export function responseTimes(exchanges: readonly Exchange[]): ResponseTimes {
  const answered = exchanges.flatMap(({ inbound, reply }) => (reply === null ? [] : [{ inbound, reply }]));
  const hours = answered.map(({ inbound, reply }) => (reply.time - inbound.time) / hourMs);
  const rounded = (value: number | null) => (value === null ? null : round(value, 2));
  return {
    count: answered.length,
    medianHours: rounded(percentile(hours, 0.5)),
    p90Hours: rounded(percentile(hours, 0.9)),
    ids: answered.map(({ inbound }) => inbound.row.id),
  };
}
