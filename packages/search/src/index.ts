export { answerBytes } from './answer-bytes.ts';
export { filterErrors } from './filter.ts';
export { createLoopLoad } from './loop-load.ts';
export { createRecallSampler, type RecallObserver, type RecallSampler, type SampleResult } from './recall-sampler.ts';
export { createRecommender, type Recommender } from './recommendations/recommend.ts';
export { createScopeEpoch, type ScopeEpoch } from './scope-epoch.ts';
export { createSearch, type Asking, type Search, type SearchObserver, type SearchOptions } from './search.ts';
