import type { ModelAnswer, ModelMessage, OfferedTool } from '@flowstate/contracts';
import type { FinishReason, jsonSchema, ModelMessage as SdkMessage, ToolSet } from 'ai';

/** Our record of a conversation in the AI SDK's words. */
export function toSdkMessages(messages: readonly ModelMessage[]): SdkMessage[] {
  return messages.map((message): SdkMessage => {
    if (message.role === 'user') return { role: 'user', content: message.text };
    if (message.role === 'tool') {
      const { callId: toolCallId, tool: toolName, text: value } = message;
      return {
        role: 'tool',
        content: [{ type: 'tool-result', toolCallId, toolName, output: { type: 'text', value } }],
      };
    }
    const text = message.text === '' ? [] : [{ type: 'text' as const, text: message.text }];
    const calls = message.toolCalls.map(({ id: toolCallId, tool: toolName, input, provider }) => ({
      type: 'tool-call' as const,
      toolCallId,
      toolName,
      input,
      ...(provider !== undefined && { providerOptions: provider as Record<string, Record<string, string>> }),
    }));
    return { role: 'assistant', content: [...text, ...calls] };
  });
}

/** Tools without a function: what a model asks for is done by the run, step by step, and not by the SDK. */
export function toSdkTools(tools: readonly OfferedTool[], schemaOf: typeof jsonSchema): ToolSet {
  return Object.fromEntries(
    tools.map(({ name, description, input }) => [name, { description, inputSchema: schemaOf(input) }]),
  );
}

const finishes: Partial<Record<FinishReason, ModelAnswer['finish']>> = {
  stop: 'stop',
  length: 'length',
  'tool-calls': 'tool_calls',
  'content-filter': 'filtered',
};

export function finishOf(reason: FinishReason): ModelAnswer['finish'] {
  return finishes[reason] ?? 'other';
}
