type Body = Record<string, unknown>;

/**
 * Says the limit of an answer's tokens in the words its endpoint knows: OpenAI's own models refuse `max_tokens` by now,
 * others know nothing else.
 * https://platform.openai.com/docs/api-reference/chat/create
 */
export function tokenLimitFor(baseUrl: string): (body: Body) => Body {
  if (new URL(baseUrl).hostname !== 'api.openai.com') return (body) => body;
  return ({ max_tokens: max_completion_tokens, ...body }) => ({ ...body, max_completion_tokens });
}
