export { callModel, type ModelCall, type ModelUsage } from './model-call.ts';
export { observeModelCalls, type EndedModelCall, type ModelObserver } from './model-observer.ts';
export { inRedisSpan } from './redis-span.ts';
export { openServerSpan, type ServerSpan } from './server-span.ts';
export { addSpan, describeSpan, inRootSpan, inSpan, isSampled, outsideSpans, type SpanOptions } from './span.ts';
export {
  isSpent,
  keepAccount,
  spendOnBackend,
  spendOnModel,
  type CallSpending,
  type ModelSpending,
  type Spending,
} from './spending.ts';
export { isTracing, tracingStarted } from './state.ts';
export { activeIds, activeTraceparent, isTraceparent } from './traceparent.ts';
