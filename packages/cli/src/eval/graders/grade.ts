/** What a grader says of one output: a score from 0 to 1, and what was wrong in words. */
export type Grade = { score: number; faults: string[] };

/** Every check counts the same; with none there is nothing wrong. */
export function gradeOf(checks: readonly { ok: boolean; fault: string }[]): Grade {
  const failed = checks.filter(({ ok }) => !ok);
  return {
    score: checks.length === 0 ? 1 : (checks.length - failed.length) / checks.length,
    faults: failed.map(({ fault }) => fault),
  };
}

/** A value for a person, not longer than a line. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length <= 80 ? text : `${text.slice(0, 79).toWellFormed()}…`;
}
