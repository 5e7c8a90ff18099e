import { OneOf } from '@flowstate/contracts';
import Type, { type Static } from 'typebox';
import { rowsOf } from './evidence.ts';
import type { InteractionFacts } from './interaction-facts.ts';
import { figure, quote, quoted, say, Statement } from './statement.ts';

export const NextAction = Type.Object(
  {
    action: OneOf(['answer-question', 'talk-to-customer', 'get-in-touch', 'answer-faster', 'work-on-topic']),
    priority: OneOf(['high', 'medium', 'low']),
    reason: Statement,
  },
  { additionalProperties: false },
);
export type NextAction = Static<typeof NextAction>;

/** A question older than this is a broken promise; one younger may just have come in. */
const patienceDays = 2;
/** Without a word from us for this long, a customer counts as left alone. */
const silenceDays = 30;
/** One working day; slower than this at the median, or half as slow again as before, is worth an action. */
const slowHours = 24;
const slowerFactor = 1.5;
/** The oldest questions; more of them would crowd out everything else. */
const maxQuestions = 3;
const ranks = { high: 0, medium: 1, low: 2 };

/** What to do next and why, the most urgent first. */
export function nextActions(customerId: string, facts: InteractionFacts): NextAction[] {
  const rows = (ids: readonly string[]) => rowsOf('interaction', ids, customerId);
  const actions: NextAction[] = [];
  const add = (action: NextAction['action'], priority: NextAction['priority'], reason: Statement) =>
    actions.push({ action, priority, reason });

  for (const { id, question, channel, days } of facts.openQuestions.items.slice(0, maxQuestions)) {
    const waited = figure(`days the question ${quoted(question)} has waited`, days, 'days', rows([id]));
    const reason = say`Answer ${quote(question)}, asked by ${channel} and open for ${waited}`;
    add('answer-question', days > patienceDays ? 'high' : 'medium', reason);
  }

  const { recent, previous, trend, mostNegative } = facts.sentiment;
  const worst = mostNegative[0];
  if (recent.mean !== null && previous.mean !== null && trend === 'worsening') {
    const now = figure('mean sentiment of the last thirty days', recent.mean, 'score', rows(recent.ids));
    const before = figure('mean sentiment of the ninety days before', previous.mean, 'score', rows(previous.ids));
    add('talk-to-customer', 'high', say`Talk to the customer: sentiment went from ${before} to ${now}`);
  } else if (recent.mean !== null && recent.mean < 0 && worst !== undefined) {
    const now = figure('mean sentiment of the last thirty days', recent.mean, 'score', rows(recent.ids));
    add('talk-to-customer', 'medium', say`Talk to the customer: sentiment is ${now}, as in ${quote(worst.excerpt)}`);
  }

  const { last, lastOutbound } = facts.silence;
  if (last !== null && (lastOutbound === null || lastOutbound.days > silenceDays)) {
    const reason =
      lastOutbound === null
        ? say`Get in touch: nothing we sent is on record`
        : say`Get in touch: our last word was ${figure('days since our last message', lastOutbound.days, 'days', rows([lastOutbound.id]))} ago`;
    add('get-in-touch', lastOutbound === null ? 'medium' : 'high', reason);
  }

  const { recent: fast, previous: slow } = facts.response;
  if (fast.medianHours !== null) {
    const now = figure('median response time of the last thirty days', fast.medianHours, 'hours', rows(fast.ids));
    if (slow.medianHours !== null && fast.medianHours > slow.medianHours * slowerFactor && fast.medianHours > 1) {
      const before = figure(
        'median response time of the ninety days before',
        slow.medianHours,
        'hours',
        rows(slow.ids),
      );
      add(
        'answer-faster',
        'medium',
        say`Answer faster: half of the replies took more than ${now}, before it was ${before}`,
      );
    } else if (fast.medianHours > slowHours) {
      add('answer-faster', 'medium', say`Answer faster: half of the replies took more than ${now}`);
    }
  }

  for (const { label, messages, ids, negativeIds, example } of facts.topics) {
    if (negativeIds.length < 2 || negativeIds.length * 2 <= messages) continue;
    const unhappy = figure(`unhappy messages about ${label}`, negativeIds.length, 'count', rows(negativeIds));
    const all = figure(`messages about ${label}`, messages, 'count', rows(ids));
    add(
      'work-on-topic',
      'medium',
      say`Work on ${label}: ${unhappy} of ${all} messages about it are unhappy, as in ${quote(example.text)}`,
    );
  }
  return actions.sort((a, b) => ranks[a.priority] - ranks[b.priority]);
}
