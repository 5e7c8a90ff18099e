import { FlowstateError, type LanguageModel } from '@flowstate/contracts';
import { createCircuit, type Circuit } from './circuit.ts';
import { createEndpointModel } from './endpoint-model.ts';

type LanguageModelConfig = {
  LLM_BASE_URL?: string | undefined;
  LLM_API_KEY?: string | undefined;
  LLM_MODEL?: string | undefined;
  LLM_FALLBACK_MODELS?: string | undefined;
  LLM_TIMEOUT_MS: number;
  LLM_STRUCTURED_OUTPUTS: boolean;
};

/**
 * The way to the language models of one endpoint; null where none is configured. Nothing is loaded or connected before
 * the first call. Throws `invalid_input` naming the variable for half a configuration, or an address that is none.
 */
export function languageModelFrom(config: LanguageModelConfig): { model: LanguageModel; circuit: Circuit } | null {
  const { LLM_BASE_URL: baseUrl, LLM_MODEL: first, LLM_API_KEY: apiKey, LLM_FALLBACK_MODELS: further } = config;
  if (baseUrl === undefined) {
    const stray = Object.entries({ LLM_MODEL: first, LLM_API_KEY: apiKey, LLM_FALLBACK_MODELS: further });
    const [name] = stray.find(([, value]) => value !== undefined) ?? [];
    if (name === undefined) return null;
    throw new FlowstateError('invalid_input', `LLM_BASE_URL is required with ${name}`);
  }
  if (first === undefined) throw new FlowstateError('invalid_input', 'LLM_MODEL is required with LLM_BASE_URL');
  const names = [first, ...(further ?? '').split(',')].map((name) => name.trim()).filter((name) => name !== '');
  const circuit = createCircuit({ farEnd: 'The language model endpoint' });
  const models = [...new Set(names)];
  const { LLM_TIMEOUT_MS: timeoutMs, LLM_STRUCTURED_OUTPUTS: structuredOutputs } = config;
  const model = createEndpointModel({ baseUrl, apiKey, models, timeoutMs, structuredOutputs, circuit });
  return { model, circuit };
}
