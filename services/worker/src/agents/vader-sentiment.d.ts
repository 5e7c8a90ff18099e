declare module 'vader-sentiment' {
  /** Sentiment of one sentence; `compound` is from -1 to 1. */
  export const SentimentIntensityAnalyzer: {
    polarity_scores(text: string): { pos: number; neg: number; neu: number; compound: number };
  };
}
