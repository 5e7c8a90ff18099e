import type { ModelAnswer, ModelRequest } from '@flowstate/contracts';
import { scripted, startModelServer, type ScriptedAnswer } from '@flowstate/test';
import t, { type Test } from 'tap';
import { createCircuit, createEndpointModel, languageModelFrom, type EndpointModelOptions } from '../src/index.ts';
import { tokenLimitFor } from '../src/token-limit.ts';

const request: ModelRequest = {
  model: 'm',
  instructions: 'be brief',
  messages: [{ role: 'user', text: 'patient record' }],
  tools: [],
  mayCall: true,
  output: { name: 'answer', schema: { type: 'object', properties: { n: { type: 'integer' } } } },
  maxOutputTokens: 50,
  idempotencyKey: 'k1',
};
const lookup = {
  name: 'lookup',
  description: 'looks up',
  input: { type: 'object', properties: { id: { type: 'string' } } },
};

async function setUp(t: Test, answers: ScriptedAnswer[], options: Partial<EndpointModelOptions> = {}) {
  const server = await startModelServer(t, scripted(answers));
  const circuit = createCircuit();
  const model = createEndpointModel({ baseUrl: server.url, apiKey: 'sk-secret', models: ['m'], circuit, ...options });
  const texts: string[] = [];
  const ask = (changed: Partial<ModelRequest> = {}, signal = new AbortController().signal): Promise<ModelAnswer> =>
    model.ask({ ...request, ...changed }, { signal, onText: (text) => texts.push(text) });
  return { server, circuit, ask, texts };
}

t.test('streams an answer; sends key, schema, limit and idempotency key', async (t) => {
  const { server, ask, texts } = await setUp(t, [{ json: { n: 41, words: 'more than one piece' }, usage: [12, 7] }]);
  const answer = await ask();
  t.same(answer, {
    text: '{"n":41,"words":"more than one piece"}',
    toolCalls: [],
    finish: 'stop',
    usage: { inputTokens: 12, outputTokens: 7 },
  });
  t.ok(texts.length > 1);
  t.equal(texts.join(''), answer.text);
  t.match(server.requests, [
    {
      headers: { authorization: 'Bearer sk-secret', 'idempotency-key': 'k1' },
      body: {
        model: 'm',
        max_tokens: 50,
        messages: [
          { role: 'system', content: 'be brief' },
          { role: 'user', content: 'patient record' },
        ],
        response_format: { type: 'json_schema', json_schema: { schema: request.output.schema, strict: false } },
      },
    },
  ]);
});

t.test('tool calls come as they were asked for, invented and malformed ones too, and are not run', async (t) => {
  const { ask, server } = await setUp(t, [
    {
      calls: [
        { tool: 'lookup', input: { id: 'a' } },
        { tool: 'invented', input: {} },
        { tool: 'lookup', raw: '{"id": "b' },
      ],
    },
  ]);
  const { toolCalls, finish } = await ask({ tools: [lookup] });
  t.equal(finish, 'tool_calls');
  t.match(toolCalls, [
    { id: 'call_0_0', tool: 'lookup', input: { id: 'a' } },
    { id: 'call_0_1', tool: 'invented', input: {} },
    { id: 'call_0_2', tool: 'lookup', input: '{"id": "b' },
  ]);
  t.match(server.requests[0]?.body, { tools: [{ function: { name: 'lookup' } }], response_format: undefined });
  const messages: ModelRequest['messages'] = [
    ...request.messages,
    { role: 'assistant', text: '', toolCalls },
    ...toolCalls.map(({ id: callId, tool }) => ({ role: 'tool' as const, callId, tool, text: 'x' })),
  ];
  await t.rejects(
    ask({ tools: [lookup], mayCall: false, messages }),
    { code: 'upstream_failed', message: /404/ },
    'the script ends here',
  );
  t.same(server.violations, [], 'and it can be told what became of them');
  t.equal(server.requests[1]?.body.tool_choice, 'none');
});

t.test('an endpoint is spoken to in the words it knows', async (t) => {
  const { ask, server } = await setUp(t, [{ json: { n: 1 } }], { structuredOutputs: false });
  await ask();
  t.equal(server.requests[0]?.body.response_format, undefined);
  const body = { model: 'm', max_tokens: 5 };
  t.same(tokenLimitFor('https://api.openai.com/v1')(body), { model: 'm', max_completion_tokens: 5 });
  t.same(tokenLimitFor('http://vllm:8000/v1')(body), body);
});

t.test('what it cost is estimated where the endpoint does not say', async (t) => {
  const { ask } = await setUp(t, [{ text: 'x'.repeat(300), usage: false }]);
  const { usage } = await ask();
  t.ok(usage.inputTokens > 10 && usage.outputTokens >= 100, JSON.stringify(usage));
});

t.test('every fault is an error with a code, worth a retry or not, that quotes neither key nor text', async (t) => {
  const faults: [ScriptedAnswer, { code: string; retryable: boolean; retryAfter?: number }][] = [
    [{ status: 500 }, { code: 'unavailable', retryable: true }],
    [
      { status: 503, retryAfter: '7' },
      { code: 'unavailable', retryable: true, retryAfter: 7 },
    ],
    [
      { status: 429, retryAfter: '40' },
      { code: 'rate_limited', retryable: true, retryAfter: 40 },
    ],
    [{ status: 401 }, { code: 'upstream_failed', retryable: false }],
    [{ status: 400 }, { code: 'upstream_failed', retryable: false }],
    [{ status: 302 }, { code: 'unavailable', retryable: true }],
    [
      { text: 'half an answer', cut: true },
      { code: 'unavailable', retryable: true },
    ],
    [
      { text: 'half an answer', garbled: true },
      { code: 'upstream_failed', retryable: true },
    ],
    [
      { text: 'half an answer', error: 'sk-secret overloaded' },
      { code: 'upstream_failed', retryable: true },
    ],
    [
      { text: 'half an answer', silent: true },
      { code: 'timeout', retryable: true },
    ],
    [{ silent: true }, { code: 'timeout', retryable: true }],
    [
      { text: 'many slow words, one by one, one by one', slowMs: 100 },
      { code: 'timeout', retryable: true },
    ],
  ];
  await Promise.all(
    faults.map(async ([fault, expected]) => {
      const patience = expected.code === 'timeout' ? { timeoutMs: 300, silenceMs: 200 } : {};
      const { ask, server } = await setUp(t, [fault], patience);
      const error = await ask().catch((e: unknown) => e);
      t.match(error, { name: 'FlowstateError', ...expected }, JSON.stringify(fault));
      t.notMatch(inspectable(error), /sk-secret|patient|half an answer/);
      t.ok(server.requests.length <= 1, 'one call is one try');
    }),
  );
});

t.test('an answer that was refused or cut short says so', async (t) => {
  const { ask } = await setUp(t, [
    { text: 'no', finish: 'content_filter' },
    { text: 'lo', finish: 'length' },
  ]);
  t.equal((await ask()).finish, 'filtered');
  t.equal((await ask()).finish, 'length');
});

t.test('slow words are fine while they come', async (t) => {
  const { ask } = await setUp(t, [{ text: 'many slow words, one by one', slowMs: 60 }], { silenceMs: 2_000 });
  t.equal((await ask()).text, 'many slow words, one by one');
});

t.test('an aborted call ends at once, with the reason given', async (t) => {
  const { ask, server } = await setUp(t, [{ text: 'abc', silent: true }]);
  const stop = new AbortController();
  const asked = ask({}, stop.signal);
  await server.asked(0);
  stop.abort(new Error('gone'));
  await t.rejects(asked, { message: 'gone' });
});

t.test('a model that asked to be left alone is not asked before its time, another one is', async (t) => {
  const { ask, server } = await setUp(t, [{ status: 429, retryAfter: '30' }, { text: 'ok' }]);
  await t.rejects(ask(), { code: 'rate_limited', retryAfter: 30 });
  await t.rejects(ask(), { code: 'rate_limited' });
  t.equal(server.requests.length, 1);
  t.equal((await ask({ model: 'other' })).text, 'ok');
});

t.test('an endpoint in trouble is left alone for a while', async (t) => {
  const circuit = createCircuit({ farEnd: 'The language model endpoint', failures: 2 });
  const { ask, server } = await setUp(t, [{ status: 500 }], { circuit });
  await t.rejects(ask(), { message: /500/ });
  await t.rejects(ask(), { message: /500/ });
  await t.rejects(ask(), { code: 'unavailable', message: /language model endpoint .* left alone/, retryAfter: 10 });
  t.equal(server.requests.length, 2);
});

t.test('the configuration decides, and half of it or an address that is none is refused', (t) => {
  const from = (config: Partial<Parameters<typeof languageModelFrom>[0]>) =>
    languageModelFrom({ LLM_TIMEOUT_MS: 1000, LLM_STRUCTURED_OUTPUTS: true, ...config });
  t.equal(from({}), null);
  const whole = { LLM_BASE_URL: 'http://x', LLM_MODEL: 'a' };
  t.same(from(whole)?.model.models, ['a']);
  t.same(from({ ...whole, LLM_FALLBACK_MODELS: ' b, a,,c' })?.model.models, ['a', 'b', 'c']);
  for (const [config, named] of [
    [{ LLM_BASE_URL: 'http://x' }, /LLM_MODEL is required/],
    [{ LLM_MODEL: 'a' }, /LLM_BASE_URL is required with LLM_MODEL/],
    [{ LLM_API_KEY: 'a' }, /LLM_BASE_URL is required with LLM_API_KEY/],
    [{ ...whole, LLM_BASE_URL: 'nonsense' }, /LLM_BASE_URL/],
    [{ ...whole, LLM_BASE_URL: 'ftp://x' }, /LLM_BASE_URL/],
    [{ ...whole, LLM_BASE_URL: 'http://u:sk-secret@x' }, /LLM_BASE_URL must not hold a password/],
  ] as const) {
    t.throws(() => from(config), { code: 'invalid_input', message: named });
  }
  t.end();
});

/** Everything a log line could show of an error. */
function inspectable(error: unknown): string {
  const { message, stack, cause } = error as Error;
  return [message, stack, cause === undefined ? '' : inspectable(cause)].join('\n');
}
