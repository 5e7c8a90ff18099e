/** What went wrong, as it is noticed. One and the same thing is told once. */
export type Findings = {
  add(text: string, runId?: string): void;
  all: { text: string; runId: string | undefined; at: number }[];
};

export function createFindings(): Findings {
  const all: Findings['all'] = [];
  return {
    all,
    add(text, runId) {
      if (all.some((known) => known.text === text && known.runId === runId)) return;
      all.push({ text, runId, at: Date.now() });
    },
  };
}
