import { formatTable } from '../table.ts';
import type { Verdict } from './verdict.ts';

/** One question of a decision tree and its answer. */
export type Finding = {
  /** What was looked at, in the order of the tree. */
  step: string;
  ok: boolean;
  /** With the figures. */
  seen: string;
  /** What to do where it is not in order: the exact setting and command. */
  knob?: string;
};

/** A verdict from a tree's findings: the first that is not in order is the cause, and what to do about it is said. */
export function verdictOf(fine: string, findings: readonly Finding[]): Verdict {
  const wrong = findings.filter(({ ok }) => !ok);
  const table = formatTable(
    ['STEP', '', 'SEEN'],
    findings.map(({ step, ok, seen }) => [step, ok ? 'ok' : 'NOT OK', seen]),
  );
  const knobs = wrong.flatMap(({ step, knob }) => (knob === undefined ? [] : [`→ ${step}: ${knob}\n`]));
  return {
    ok: wrong.length === 0,
    summary: wrong[0] === undefined ? fine : `${wrong[0].step}: ${wrong[0].seen}`,
    evidence: table + knobs.join(''),
  };
}
