import { defineAgent } from '@flowstate/workflow';
import Type from 'typebox';
import { questionIn } from './open-questions.ts';
import { withoutQuotedReply } from './plain-text.ts';
import { sentimentLabel, sentimentOf } from './sentiment.ts';
import { categories, teamOf, Ticket, TicketLabels, type Category, type TicketPriority } from './ticket.ts';
import { topicsOf } from './topics.ts';

/** What is read of a ticket, in code units: long ones say what they want before that. */
const readUnits = 4_000;
const pressing =
  /(?<![\p{L}\p{N}])(?:urgent|urgently|asap|immediately|right away|emergency|critical|blocked|blocker|production|all users|everybody|everyone|nobody can|data loss|lost data|breach)(?![\p{L}\p{N}])/iu;
/** What stops a customer's work or the customer's staying. */
const grave: ReadonlySet<Category> = new Set(['availability', 'security', 'churn']);
/** What somebody waits for, as against what somebody would like. */
const faults: ReadonlySet<Category> = new Set(['errors', 'performance', 'integration', 'access', 'billing']);

/** Labels a ticket by words alone: the topic it names most, how it sounds, and what presses. */
export const ticketLexiconAgent = defineAgent({
  name: 'ticket-lexicon',
  description: 'Category, priority, sentiment and team of a ticket, by topic and sentiment lexicons',
  input: Type.Object({ ticket: Ticket }, { additionalProperties: false }),
  output: TicketLabels,
  run(_ctx, { ticket: { subject, text } }) {
    const said = withoutQuotedReply(text, readUnits);
    const [topic] = topicsOf(`${subject ?? ''}\n${said}`);
    const category = categories.find((one) => one === topic) ?? 'other';
    const score = sentimentOf(said);
    const sentiment = score === null ? 'neutral' : sentimentLabel(score);
    const presses = pressing.test(`${subject ?? ''}\n${said}`);
    const priority = priorityOf({
      category,
      presses,
      negative: sentiment === 'negative',
      asks: questionIn(said) !== null,
    });
    return { category, priority, sentiment, team: teamOf[category] };
  },
});

function priorityOf(ticket: {
  category: Category;
  presses: boolean;
  negative: boolean;
  asks: boolean;
}): TicketPriority {
  const { category, presses, negative, asks } = ticket;
  if (grave.has(category)) return presses || negative ? 'urgent' : 'high';
  if (faults.has(category)) return presses ? 'urgent' : negative ? 'high' : 'normal';
  if (presses) return 'high';
  return negative || asks ? 'normal' : 'low';
}
