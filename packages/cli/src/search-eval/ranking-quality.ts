/** How good one answer was, each figure 0 to 1. */
export type RankingQuality = {
  /** Share of the relevant documents that are among the first k. */
  recall: number;
  /** One over the rank of the first relevant document; 0 when none is among the first k. */
  reciprocalRank: number;
  /** Normalised discounted cumulative gain of the first k. */
  ndcg: number;
};

/**
 * Judges the ids of an answer, best first, by the grades of the relevant documents (at least one). Gain 2^grade - 1,
 * discounted by log2(rank + 1), over that of the best possible order: Järvelin and Kekäläinen, "Cumulated gain-based
 * evaluation of IR techniques" (TOIS 2002), in the form of Burges et al. (ICML 2005).
 */
export function judgeRanking(
  answered: readonly string[],
  grades: Readonly<Record<string, number>>,
  k: number,
): RankingQuality {
  const first = [...new Set(answered)].slice(0, k);
  const grade = (id: string) => (Object.hasOwn(grades, id) ? (grades[id] ?? 0) : 0);
  const best = Object.values(grades).toSorted((a, b) => b - a);
  const rank = first.findIndex((id) => grade(id) > 0) + 1;
  return {
    recall: first.filter((id) => grade(id) > 0).length / best.length,
    reciprocalRank: rank === 0 ? 0 : 1 / rank,
    ndcg: gainOf(first.map(grade)) / gainOf(best.slice(0, k)),
  };
}

function gainOf(grades: readonly number[]): number {
  return grades.reduce((sum, grade, i) => sum + (2 ** grade - 1) / Math.log2(i + 2), 0);
}
