/** The answer to one check. */
export type Verdict = {
  ok: boolean;
  /** In one line, with the figures. */
  summary: string;
  /** What was seen: lines, each with its end; may be empty. */
  evidence: string;
};
