import type { InteractionResult } from './interaction.ts';
import { maxIssues, type Issue } from './knowledge.ts';

const questionIssues = 5;

/** What to look up: the questions that wait longest, then the topics with the most unhappy messages. */
export function issuesOf({ openQuestions, topics }: InteractionResult): Issue[] {
  // The same question asked again is answered once, for all its messages.
  const asked = Map.groupBy(openQuestions.items, ({ question }) => question.toLowerCase());
  const questions = [...asked.values()].slice(0, questionIssues).map((same): Issue => {
    return { kind: 'question', text: same[0]?.question ?? '', topic: null, ids: same.map(({ id }) => id) };
  });
  const asking = new Set(openQuestions.ids);
  const unhappy = topics
    // What an open question says is looked up by the question itself.
    .filter(({ negativeIds, example }) => negativeIds.length > 0 && !asking.has(example.id))
    .sort((a, b) => b.negativeIds.length - a.negativeIds.length)
    .slice(0, maxIssues - questions.length)
    .map(({ topic, label, negativeIds, example }): Issue => {
      return { kind: 'topic', text: `${label}: ${example.text}`, topic, ids: negativeIds };
    });
  return [...questions, ...unhappy];
}
