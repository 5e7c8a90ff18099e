import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import type { Test } from 'tap';
import { readModelScript, type ModelScript, type ScriptedAnswer } from './model-script.ts';

type SeenMessage = {
  role: 'system' | 'user' | 'assistant' | 'tool';
  content: string | null;
  tool_calls?: { id: string; function: { name: string; arguments: string } }[];
  tool_call_id?: string;
};

export type SeenRequest = {
  headers: IncomingHttpHeaders;
  body: {
    model: string;
    messages: SeenMessage[];
    tools?: { function: { name: string } }[];
    tool_choice?: string;
    response_format?: { type: string };
    max_tokens?: number;
  };
  /** Answers its conversation held. */
  turn: number;
};

export type ModelServer = {
  /** For `LLM_BASE_URL`. */
  url: string;
  /** Everything that was asked, in order. */
  requests: SeenRequest[];
  /** Resolves once that turn was asked that often, in a conversation about that (a text of its messages). */
  asked(turn: number, times?: number, about?: string): Promise<SeenRequest>;
  /** From now on requests of this turn, in a conversation about that, get no answer until they are let go. */
  hold(turn: number, about?: string): void;
  release(turn: number, about?: string): void;
  /** What a provider would have refused: tool calls without an answer, answers without a call. */
  violations: string[];
};

/** The far end of language models: an OpenAI-compatible server over HTTP that says what its script says. */
export async function startModelServer(
  t: Pick<Test, 'teardown'>,
  source: ModelScript | string | URL,
): Promise<ModelServer> {
  const script = typeof source === 'string' || source instanceof URL ? await readModelScript(source) : source;
  const requests: SeenRequest[] = [];
  const violations: string[] = [];
  const tries = new Map<string, number>();
  const held = new Set<{ turn: number; about: string; gate: PromiseWithResolvers<void> }>();
  const watchers = new Set<() => void>();

  function answerTo({ body, turn }: SeenRequest): ScriptedAnswer {
    const text = JSON.stringify(body.messages);
    const conversation = script.conversations.find(({ when }) => when === undefined || text.includes(when));
    const answers = conversation?.turns[turn] ?? [{ status: 404 }];
    const tried = tries.get(text) ?? 0;
    tries.set(text, tried + 1);
    return answers[Math.min(tried, answers.length - 1)] as ScriptedAnswer;
  }

  async function reply(seen: SeenRequest, response: ServerResponse): Promise<void> {
    const answer = answerTo(seen);
    const holds = [...held].filter(({ turn, about }) => turn === seen.turn && isAbout(seen, about));
    await Promise.all(holds.map(({ gate }) => gate.promise));
    const orphan = orphanOf(seen.body.messages);
    if (orphan === undefined) return play(answer, seen, response);
    violations.push(orphan);
    refuse(response, 400);
  }

  const server = createServer((request, response) => {
    void (async () => {
      if (request.url !== '/v1/chat/completions') return refuse(response, 404);
      const body = (await json(request)) as SeenRequest['body'];
      const turn = body.messages.filter(({ role }) => role === 'assistant').length;
      const seen = { headers: request.headers, body, turn };
      requests.push(seen);
      for (const look of watchers) look();
      await reply(seen, response);
    })().catch(() => response.destroy()); // whoever asked was killed while it spoke
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    violations,
    asked(turn, times = 1, about = '') {
      return new Promise((resolve) => {
        const look = () => {
          const found = requests.filter((seen) => seen.turn === turn && isAbout(seen, about))[times - 1];
          if (found === undefined) return;
          watchers.delete(look);
          resolve(found);
        };
        watchers.add(look);
        look();
      });
    },
    hold: (turn, about = '') => void held.add({ turn, about, gate: Promise.withResolvers() }),
    release(turn, about = '') {
      for (const hold of held) {
        if (hold.turn !== turn || hold.about !== about) continue;
        hold.gate.resolve();
        held.delete(hold);
      }
    },
  };
}

function isAbout({ body }: SeenRequest, about: string): boolean {
  return JSON.stringify(body.messages).includes(about);
}

function refuse(response: ServerResponse, status: number, headers: Record<string, string> = {}): void {
  // As careless as a far end may be: it quotes the key.
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end('{"error":{"message":"key sk-secret is not good for this","type":"test","code":null}}');
}

async function play(answer: ScriptedAnswer, { turn, body }: SeenRequest, response: ServerResponse): Promise<void> {
  const { status, retryAfter, calls = [], slowMs, usage = [100, 20] } = answer;
  if (status !== undefined) {
    return refuse(response, status, { ...(retryAfter !== undefined && { 'retry-after': retryAfter }) });
  }
  const base = { id: `chatcmpl-${turn}`, object: 'chat.completion.chunk', created: 0, model: body.model };
  const send = (data: unknown) => response.write(`data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`);
  const say = (delta: unknown, finish: string | null = null) =>
    send({ ...base, choices: [{ index: 0, delta, finish_reason: finish }] });
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.flushHeaders();
  const text = answer.json === undefined ? (answer.text ?? '') : JSON.stringify(answer.json);
  for (const piece of text.match(/[\s\S]{1,12}/g) ?? []) {
    if (slowMs !== undefined) await wait(slowMs);
    say({ role: 'assistant', content: piece });
  }
  if (answer.silent === true) return;
  if (answer.cut === true) return void response.socket?.end();
  if (answer.garbled === true) send('{"choices": [{"delta"');
  if (answer.error !== undefined) send({ error: { message: answer.error } });
  for (const [index, { tool, input = {}, raw }] of calls.entries()) {
    const id = `call_${turn}_${index}`;
    const text = raw ?? JSON.stringify(input);
    say({ tool_calls: [{ index, id, type: 'function', function: { name: tool, arguments: text.slice(0, 5) } }] });
    say({ tool_calls: [{ index, function: { arguments: text.slice(5) } }] });
  }
  say({}, answer.finish ?? (calls.length > 0 ? 'tool_calls' : 'stop'));
  if (usage !== false) {
    const [prompt_tokens, completion_tokens] = usage;
    send({
      ...base,
      choices: [],
      usage: { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens },
    });
  }
  response.end('data: [DONE]\n\n');
}

/** The rule of every provider: the calls of a message are answered, each once, before anything else is said. */
function orphanOf(messages: readonly SeenMessage[]): string | undefined {
  let open = new Set<string>();
  for (const { role, tool_calls = [], tool_call_id: answered } of messages) {
    if (role === 'tool') {
      if (answered === undefined || !open.delete(answered)) return `an answer to no call: ${answered}`;
    } else if (open.size > 0) {
      return `calls without an answer: ${[...open].join(', ')}`;
    }
    if (role === 'assistant') open = new Set(tool_calls.map(({ id }) => id));
  }
  return open.size > 0 ? `calls without an answer: ${[...open].join(', ')}` : undefined;
}
