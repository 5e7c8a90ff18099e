import {
  estimateTokens,
  FlowstateError,
  type LanguageModel,
  type ModelAnswer,
  type ModelListener,
} from '@flowstate/contracts';
import { callModel, type ModelUsage } from '@flowstate/tracing';
import type { Circuit } from './circuit.ts';
import { isCallInstead, modelFailure, timedOut, usedNothing } from './model-failure.ts';
import { finishOf, toSdkMessages, toSdkTools } from './sdk-conversation.ts';
import { tokenLimitFor } from './token-limit.ts';

export type EndpointModelOptions = {
  /** Such as `https://api.openai.com/v1`; `/v1` is added when it has no path. */
  baseUrl: string;
  apiKey?: string | undefined;
  /** The preferred one first. */
  models: readonly string[];
  /** Milliseconds for one call (default 120,000). */
  timeoutMs?: number | undefined;
  /** Milliseconds of silence in the middle of an answer (default 30,000). */
  silenceMs?: number | undefined;
  /** Does the endpoint take `response_format: json_schema` (default true)? */
  structuredOutputs?: boolean | undefined;
  circuit: Circuit;
};

type Ask = LanguageModel['ask'];
type Asked = Parameters<Ask>[0];

/**
 * Language models behind any OpenAI-compatible `POST /v1/chat/completions`, by the Vercel AI SDK. One call is one try:
 * whoever asks tries again, since a run waits for its next try without a worker.
 */
export function createEndpointModel(options: EndpointModelOptions): LanguageModel {
  const { apiKey, models, timeoutMs = 120_000, silenceMs = 30_000, structuredOutputs = true, circuit } = options;
  const baseURL = completionsBase(options.baseUrl);
  /** Until when a model's provider asked to be left alone. */
  const limitedUntil = new Map<string, number>();
  let sdk: ReturnType<typeof loadSdk> | undefined;

  async function stream(request: Asked, signal: AbortSignal, onText: (text: string) => void): Promise<ModelAnswer> {
    const { streamText, jsonSchema, Output, provider } = await (sdk ??= loadSdk(baseURL, apiKey));
    const { output, tools, mayCall, idempotencyKey, maxOutputTokens, instructions } = request;
    const call = streamText({
      model: provider(request.model),
      instructions,
      messages: toSdkMessages(request.messages),
      tools: toSdkTools(tools, jsonSchema),
      ...(tools.length > 0 && !mayCall && { toolChoice: 'none' as const }),
      ...(tools.length === 0 &&
        structuredOutputs && {
          output: Output.object({ name: output.name, schema: jsonSchema(output.schema) }),
        }),
      maxOutputTokens,
      maxRetries: 0,
      headers: { 'idempotency-key': idempotencyKey },
      abortSignal: signal,
      timeout: { totalMs: timeoutMs, chunkMs: silenceMs },
      telemetry: { isEnabled: false },
      // A schema that says what may be left out is refused where it is taken strictly.
      providerOptions: { openaiCompatible: { strictJsonSchema: false } },
      onError: () => {}, // it is thrown here; the default writes it, and the answer, to the console
    });
    const answer: ModelAnswer = {
      text: '',
      toolCalls: [],
      finish: 'other',
      usage: { inputTokens: 0, outputTokens: 0 },
    };
    let calledInstead = false;
    for await (const part of call.stream) {
      if (part.type === 'text-delta') {
        answer.text += part.text;
        onText(part.text);
      } else if (part.type === 'tool-call') {
        const { toolCallId: id, toolName: tool, input, providerMetadata } = part;
        answer.toolCalls.push({ id, tool, input, ...(providerMetadata && { provider: providerMetadata }) });
      } else if (part.type === 'finish') {
        answer.finish = calledInstead ? 'tool_calls' : finishOf(part.finishReason);
        answer.usage = {
          inputTokens: part.totalUsage.inputTokens ?? estimateTokens(JSON.stringify(request)),
          outputTokens: part.totalUsage.outputTokens ?? estimateTokens(JSON.stringify(answer)),
        };
      } else if (part.type === 'error') {
        // It was told to answer and called tools: an answer that says so, and was paid for.
        if (!isCallInstead(part.error)) throw part.error;
        calledInstead = true;
      } else if (part.type === 'abort') {
        throw timedOut(timeoutMs);
      }
    }
    return answer;
  }

  async function once(
    request: Asked,
    { signal, onText, onUsage }: Required<ModelListener>,
    used: (usage: ModelUsage) => void,
  ): Promise<ModelAnswer> {
    try {
      const answer = await stream(request, signal, onText);
      used(answer.usage);
      onUsage(answer.usage);
      return answer;
    } catch (error) {
      if (usedNothing(error)) onUsage(nothing);
      signal.throwIfAborted();
      const failure = modelFailure(error, timeoutMs);
      if (failure.code === 'rate_limited' && failure.retryAfter !== undefined) {
        limitedUntil.set(request.model, performance.now() + failure.retryAfter * 1000);
      }
      throw failure;
    }
  }

  return {
    models,
    async ask(request, { signal, onText = () => {}, onUsage = () => {} }) {
      signal.throwIfAborted();
      const restMs = (limitedUntil.get(request.model) ?? 0) - performance.now();
      if (restMs > 0) {
        onUsage(nothing);
        const retryAfter = Math.ceil(restMs / 1000);
        throw new FlowstateError('rate_limited', 'The language model endpoint limits our rate', { retryAfter });
      }
      let made = false;
      try {
        return await circuit.run(() => {
          made = true;
          return callModel({ operation: 'chat', provider: 'openai', model: request.model }, (used) =>
            once(request, { signal, onText, onUsage }, used),
          );
        });
      } finally {
        if (!made) onUsage(nothing);
      }
    },
  };
}

const nothing = { inputTokens: 0, outputTokens: 0 };

/** Only where a model is asked: it is a megabyte of code. */
async function loadSdk(baseURL: string, apiKey: string | undefined) {
  const [{ streamText, jsonSchema, Output }, { createOpenAICompatible }] = await Promise.all([
    import('ai'),
    import('@ai-sdk/openai-compatible'),
  ]);
  globalThis.AI_SDK_LOG_WARNINGS = false;
  const provider = createOpenAICompatible({
    name: 'openai-compatible',
    baseURL,
    ...(apiKey !== undefined && { apiKey }),
    includeUsage: true,
    transformRequestBody: tokenLimitFor(baseURL),
    supportsStructuredOutputs: true,
    // A key goes where it was configured to go, nowhere else.
    fetch: (input, init) => fetch(input, { ...init, redirect: 'error' }),
  });
  return { streamText, jsonSchema, Output, provider };
}

function completionsBase(baseUrl: string): string {
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    throw new FlowstateError('invalid_input', 'LLM_BASE_URL is no http or https URL');
  }
  if (url.username !== '' || url.password !== '') {
    throw new FlowstateError('invalid_input', 'LLM_BASE_URL must not hold a password: use LLM_API_KEY');
  }
  const path = url.pathname.replace(/\/+$/, '').replace(/\/chat\/completions$/, '');
  url.pathname = path === '' ? '/v1' : path;
  return url.href;
}
