export { callModel, type ModelUsage } from './model-call.ts';
export { observeModelCalls, type EndedModelCall } from './model-observer.ts';
export { inRedisSpan } from './redis-span.ts';
export { openServerSpan, type ServerSpan } from './server-span.ts';
export { addSpan, describeSpan, inRootSpan, inSpan, isSampled, outsideSpans } from './span.ts';
export { isSpent, keepAccount, spendOnBackend, type Spending } from './spending.ts';
export { isTracing, tracingStarted } from './state.ts';
export { activeIds, activeTraceparent, isTraceparent } from './traceparent.ts';
