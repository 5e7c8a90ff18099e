import { channel } from 'node:diagnostics_channel';

/** Told of what guardrails left out: `{ agent, sentences }`. The worker's metrics listen. */
export const droppedSentences = channel('flowstate.guardrails.dropped');
/** Agents whose sentences are held against what supports them. */
export const guardedAgents = ['answer-writer', 'briefing-writer', 'reason-writer'] as const;

export type DroppedSentences = { agent: string; sentences: number };

/**
 * The sentences that something supports, and how many were dropped. Call it within a step: what a replay does again
 * would be counted again.
 */
export function supportedOnly<T>(
  agent: (typeof guardedAgents)[number],
  sentences: readonly T[],
  isSupported: (sentence: T, index: number) => boolean,
): { kept: T[]; dropped: number } {
  const kept = sentences.filter(isSupported);
  const dropped = sentences.length - kept.length;
  if (dropped > 0) droppedSentences.publish({ agent, sentences: dropped } satisfies DroppedSentences);
  return { kept, dropped };
}
