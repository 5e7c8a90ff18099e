import type { Attributes } from '@opentelemetry/api';
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
  costUsd?: number | null;
};

/**
 * Every call of a model goes through here: a span by OpenTelemetry's GenAI conventions, and its part of the account of
 * whatever step asked for it. `used` is told what the provider says it cost. No prompt and no answer is ever recorded.
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
    try {
      return await work((used) => (usage = used));
    } finally {
      const { responseModel, ...spent } = usage;
      spendOnModel(model, { ms: performance.now() - begun, ...spent });
      describeSpan({
        ...(usage.inputTokens !== undefined && { 'gen_ai.usage.input_tokens': usage.inputTokens }),
        ...(usage.outputTokens !== undefined && { 'gen_ai.usage.output_tokens': usage.outputTokens }),
        ...(responseModel !== undefined && { 'gen_ai.response.model': responseModel }),
      });
    }
  });
}
