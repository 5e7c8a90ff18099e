import { FlowstateError } from '@flowstate/contracts';
import type { Embedder } from '@flowstate/models';
import { defineAgent } from '@flowstate/workflow';
import Type from 'typebox';
import { questionIn } from './open-questions.ts';
import { withoutQuotedReply } from './plain-text.ts';
import { sentimentLabel, sentimentOf } from './sentiment.ts';
import { ticketExamples } from './ticket-examples.ts';
import { categories, teamOf, Ticket, TicketLabels, type Category, type TicketPriority } from './ticket.ts';
import { expressionsByTopic } from './topics.ts';

/** What is read of a ticket, in code units: long ones say what they want before that. */
const readUnits = 4_000;
const embeddedUnits = 1_000;
const pressing =
  /(?<![\p{L}\p{N}])(?:urgent|urgently|asap|at once|immediately|right away|hurry|emergency|critical|blocked|blocker|production|all users|everybody|everyone|nobody can|data loss|lost data|breach)(?![\p{L}\p{N}])/iu;
/** What stops a customer's work or the customer's staying. */
const grave: ReadonlySet<Category> = new Set(['availability', 'churn']);
/** What somebody waits for, as against what somebody would like. */
const faults: ReadonlySet<Category> = new Set([
  'errors',
  'performance',
  'integration',
  'access',
  'billing',
  'security',
]);
/** Cosine similarity to the nearest example, below which a ticket is of no known kind. */
const nearEnough = 0.2;
/** What each different expression of a topic adds to the similarity: words decide where meanings are equally near. */
const perExpression = 0.06;

/** Labels tickets without a language model: what their meaning and words are nearest to, how they sound, what presses. */
export function createTicketClassifier(embedder: Embedder) {
  let examples: Promise<{ category: Category; vector: number[] }[]> | undefined;

  /** Embedded once in this process, with the first ticket. */
  async function embeddedExamples(signal: AbortSignal) {
    examples ??= embedExamples(embedder, signal).catch((error: unknown) => {
      examples = undefined;
      throw error;
    });
    return examples;
  }

  async function nearness(text: string, signal: AbortSignal): Promise<Map<Category, number>> {
    const [known, [vector = []]] = await Promise.all([embeddedExamples(signal), embedder.embed([text], signal)]);
    const nearest = new Map<Category, number>();
    for (const { category, vector: example } of known) {
      nearest.set(category, Math.max(nearest.get(category) ?? -1, cosine(vector, example)));
    }
    return nearest;
  }

  return defineAgent({
    name: 'ticket-classifier',
    description: 'Category, priority, sentiment and team of a ticket, by embeddings and lexicons',
    input: Type.Object({ ticket: Ticket }, { additionalProperties: false }),
    output: TicketLabels,
    async run({ signal }, { ticket: { subject, text } }) {
      const said = withoutQuotedReply(text, readUnits);
      const whole = `${subject ?? ''}\n${said}`.trim();
      const near = await nearness(whole.slice(0, embeddedUnits).toWellFormed(), signal).catch((error: unknown) => {
        // Words alone are better than nothing while the embeddings' endpoint is away.
        if (error instanceof FlowstateError) return new Map<Category, number>();
        throw error;
      });
      const category = categoryOf(near, expressionsByTopic(whole));
      const score = sentimentOf(said);
      const sentiment = score === null ? 'neutral' : sentimentLabel(score);
      const presses = pressing.test(whole);
      const negative = sentiment === 'negative';
      const priority = priorityOf({ category, presses, negative, asks: questionIn(said) !== null });
      return { category, priority, sentiment, team: teamOf[category] };
    },
  });
}

async function embedExamples(embedder: Embedder, signal: AbortSignal) {
  const all = Object.entries(ticketExamples).flatMap(([category, texts]) =>
    texts.map((text) => ({ category: category as Category, text })),
  );
  const vectors = await embedder.embed(
    all.map(({ text }) => text),
    signal,
  );
  return all.map(({ category }, index) => ({ category, vector: vectors[index] ?? [] }));
}

function categoryOf(near: ReadonlyMap<Category, number>, words: ReadonlyMap<string, number>): Category {
  const scored = categories
    .filter((category) => (near.get(category) ?? 0) >= nearEnough || words.has(category))
    .map((category) => ({
      category,
      score: (near.get(category) ?? 0) + perExpression * (words.get(category) ?? 0),
    }));
  return scored.reduce<{ category: Category; score: number }>((best, one) => (one.score > best.score ? one : best), {
    category: 'other',
    score: 0,
  }).category;
}

function cosine(a: readonly number[], b: readonly number[]): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (const [i, x] of a.entries()) {
    const y = b[i] ?? 0;
    dot += x * y;
    aa += x * x;
    bb += y * y;
  }
  return dot / Math.sqrt(aa * bb || 1);
}

function priorityOf(ticket: {
  category: Category;
  presses: boolean;
  negative: boolean;
  asks: boolean;
}): TicketPriority {
  const { category, presses, negative, asks } = ticket;
  if (grave.has(category)) return 'urgent';
  if (faults.has(category)) return presses ? 'urgent' : negative ? 'high' : 'normal';
  if (presses) return 'high';
  return negative || asks ? 'normal' : 'low';
}
