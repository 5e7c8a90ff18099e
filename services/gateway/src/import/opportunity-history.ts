import { isClosed, type OpportunityInput } from '@flowstate/contracts';

type Entry = { stage: string; at: string };

/** A CSV cell `stage@date;stage@date`; undefined when it is not of that form. The dates are read by the caller. */
export function parseHistory(cell: string): Entry[] | undefined {
  const entries = cell
    .split(';')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => {
      const at = part.lastIndexOf('@');
      return at < 1 ? undefined : { stage: part.slice(0, at).trim(), at: part.slice(at + 1).trim() };
    });
  return entries.every((entry) => entry !== undefined) ? entries : undefined;
}

/**
 * The stages an opportunity is known to have entered, oldest first. What the source tells counts; without it a closed
 * one entered its stage when it was closed, an open one the stage it is still in when it was opened. `openedStage`
 * names the stage every opportunity of the source begins with at `openedAt`.
 */
export function historyOf(opportunity: OpportunityInput, openedStage: string | undefined): Entry[] {
  const { history = [], stage, openedAt, closedAt } = opportunity;
  if (history.length > 0) return history.toSorted((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  const closed = isClosed(opportunity);
  const first = openedStage ?? (closed ? undefined : stage);
  return [
    ...(openedAt && first !== undefined ? [{ stage: first, at: openedAt }] : []),
    ...(closed && closedAt ? [{ stage, at: closedAt }] : []),
  ];
}
