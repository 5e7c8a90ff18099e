import type { Attributes } from '@opentelemetry/api';
import { modelObserver } from './model-observer.ts';
import { describeSpan, inSpan } from './span.ts';
import { spendOnModel } from './spending.ts';

export type ModelCall = {
  operation: 'embeddings' | 'chat';
  /** OpenTelemetry's names where it has one, e.g. `openai`. */
  provider: string;
  model: string;
  attributes?: Attributes;
};

export type ModelUsage = {
  inputTokens?: number;
  outputTokens?: number;
  responseModel?: string;
  /** US dollars, where the provider says it itself. */
  costUsd?: number | null;
};

/**
 * Every call of a model goes through here: a span by OpenTelemetry's GenAI conventions, its part of the account of
 * whatever step asked for it, and a count where the service keeps one. `used` is told what the provider says it cost. No prompt and no answer is ever recorded.
 * https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
 */
export function callModel<T>(call: ModelCall, work: (used: (usage: ModelUsage) => void) => Promise<T>): Promise<T> {
  const { operation, provider, model } = call;
  const attributes = {
    'gen_ai.operation.name': operation,
    'gen_ai.provider.name': provider,
    'gen_ai.request.model': model,
    ...call.attributes,
  };
  return inSpan(`${operation} ${model}`, { kind: 'CLIENT', attributes }, async () => {
    const begun = performance.now();
    let usage: ModelUsage = {};
    let error: unknown;
    try {
      return await work((used) => (usage = used));
    } catch (thrown) {
      error = thrown;
      throw thrown;
    } finally {
      const { responseModel, ...given } = usage;
      const spent = { inputTokens: 0, outputTokens: 0, ...given };
      const observer = modelObserver();
      const costUsd = usage.costUsd ?? observer?.costUsd(model, spent) ?? null;
      spendOnModel(model, { ms: performance.now() - begun, ...spent, costUsd });
      observer?.onCall({ operation, model, error, ...spent, costUsd });
      describeSpan({
        ...(usage.inputTokens !== undefined && { 'gen_ai.usage.input_tokens': usage.inputTokens }),
        ...(usage.outputTokens !== undefined && { 'gen_ai.usage.output_tokens': usage.outputTokens }),
        ...(responseModel !== undefined && { 'gen_ai.response.model': responseModel }),
      });
    }
  });
}
