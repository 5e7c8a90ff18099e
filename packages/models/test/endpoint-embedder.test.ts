import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { createCircuit, createEmbedder, embeddersFrom } from '../src/index.ts';

type Asked = {
  url: string;
  headers: IncomingHttpHeaders;
  body: { model: string; input: string[] };
  at: number;
  clock: number;
};
type Reply = (response: ServerResponse, asked: Asked) => void;

/** The far end: a server speaking the protocol, answering by script, then (script over) with right answers. */
async function endpoint(t: Test, ...script: Reply[]): Promise<{ baseUrl: string; asked: Asked[] }> {
  const asked: Asked[] = [];
  async function reply(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = (await json(request)) as Asked['body'];
    const call = { url: request.url ?? '', headers: request.headers, body, at: performance.now(), clock: Date.now() };
    asked.push(call);
    (script.shift() ?? right)(response, call);
  }
  const server = createServer((request, response) => {
    void reply(request, response).catch(() => response.destroy()); // whoever asked left while it spoke
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

const vectorOf = (text: string) => [text.length, 1];

/** Indexed answers may come in any order: these come backwards. */
const right: Reply = (response, { body }) =>
  response.end(
    JSON.stringify({ data: body.input.map((text, index) => ({ index, embedding: vectorOf(text) })).toReversed() }),
  );
const status =
  (code: number, headers: Record<string, string> = {}): Reply =>
  (response) =>
    response.writeHead(code, headers).end('{"error":{"message":"key sk-secret, text: patient record"}}');
const answers =
  (body: string): Reply =>
  (response) =>
    response.end(body);

const base = { kind: 'endpoint', model: 'm', backoffMs: 1 } as const;

t.test('sends model, key and batches; answers in the order of the texts', async (t) => {
  const { baseUrl, asked } = await endpoint(t);
  const embedder = createEmbedder({ ...base, baseUrl, apiKey: 'k', batchSize: 2 });
  t.equal(embedder.dimensions, null);
  t.same(await embedder.embed(['a', 'bb', 'ccc', 'dddd', 'eeeee']), ['a', 'bb', 'ccc', 'dddd', 'eeeee'].map(vectorOf));
  t.equal(embedder.dimensions, 2);
  t.same(
    asked.map((call) => call.body.input.length),
    [2, 2, 1],
  );
  t.match(asked[0], { url: '/v1/embeddings', headers: { authorization: 'Bearer k' }, body: { model: 'm' } });
});

t.test('a base URL may end in /, /v1 or in the whole path', async (t) => {
  for (const [path, url] of [
    ['/', '/v1/embeddings'],
    ['/v1/', '/v1/embeddings'],
    ['/api/openai', '/api/openai/embeddings'],
    ['/v1/embeddings', '/v1/embeddings'],
  ] as const) {
    const { baseUrl, asked } = await endpoint(t);
    await createEmbedder({ ...base, baseUrl: baseUrl + path }).embed(['a']);
    t.equal(asked[0]?.url, url);
  }
});

t.test('waits as long as Retry-After asks, in seconds or as a date', async (t) => {
  let date = '';
  const { baseUrl, asked } = await endpoint(t, status(429, { 'retry-after': '1' }), (response, call) => {
    date = new Date(Date.now() + 1_500).toUTCString();
    status(503, { 'retry-after': date })(response, call);
  });
  t.same(await createEmbedder({ ...base, baseUrl }).embed(['abc']), [[3, 1]]);
  const [first, second, third] = asked;
  t.ok(second!.at - first!.at >= 990, 'a second as asked');
  t.ok(third!.clock >= Date.parse(date), 'until the date');
});

t.test("a Retry-After beyond patience becomes the caller's", async (t) => {
  const { baseUrl, asked } = await endpoint(t, status(429, { 'retry-after': '3600' }));
  await t.rejects(createEmbedder({ ...base, baseUrl }).embed(['abc']), { code: 'rate_limited', retryAfter: 3600 });
  t.equal(asked.length, 1);
});

t.test('500 and lost connections are tried again, in the end reported', async (t) => {
  const reset: Reply = (response) => response.destroy();
  const well = await endpoint(t, status(500), reset, status(502));
  t.same(await createEmbedder({ ...base, baseUrl: well.baseUrl }).embed(['abc']), [[3, 1]]);
  const ill = await endpoint(t, status(500), status(500), reset, status(500));
  await t.rejects(createEmbedder({ ...base, baseUrl: ill.baseUrl }).embed(['abc']), {
    code: 'unavailable',
    message: /500/,
  });
  t.equal(ill.asked.length, 4);
});

t.test('what a retry cannot mend is not retried, and says nothing of key or text', async (t) => {
  for (const reply of [status(400), status(401), status(404), status(302, { location: 'http://127.0.0.1:9/' })]) {
    const { baseUrl, asked } = await endpoint(t, reply);
    const attempts = 1; // a redirect looks like a network failure to fetch
    const error = await createEmbedder({ ...base, baseUrl, attempts })
      .embed(['abc'])
      .catch((e: Error) => e);
    t.match(error, { name: 'FlowstateError' });
    t.notMatch(String(error), /sk-secret|patient/);
    t.equal(asked.length, 1);
  }
});

t.test('a wrong answer is an error, never a vector', async (t) => {
  const nan = '{"data":[{"index":0,"embedding":[1,null]}]}';
  const count = '{"data":[{"index":0,"embedding":[1,2]},{"index":1,"embedding":[1,2]}]}';
  const index = '{"data":[{"index":7,"embedding":[1,2]}]}';
  for (const body of [
    '<html>',
    '',
    '[]',
    '{"data":{}}',
    '{"data":[]}',
    nan,
    count,
    index,
    '{"data":[{"embedding":["x"]}]}',
    '{"data":[{"embedding":[0,0]}]}',
    '{"data":[{"embedding":[1e-30,0]}]}',
    '{"data":[{"embedding":[1e30,0]}]}',
  ]) {
    const { baseUrl, asked } = await endpoint(t, answers(body));
    await t.rejects(createEmbedder({ ...base, baseUrl }).embed(['abc']), { code: 'upstream_failed' }, body);
    t.equal(asked.length, 1, 'not retried');
  }
  const { baseUrl } = await endpoint(t, right, answers('{"data":[{"embedding":[1,2,3]}]}'));
  await t.rejects(createEmbedder({ ...base, baseUrl, batchSize: 1 }).embed(['a', 'b']), { message: /2 and of 3/ });
});

t.test('an endpoint that never answers times out; an aborted call and a closed embedder end at once', async (t) => {
  const silent: Reply = () => {};
  const { baseUrl } = await endpoint(t, silent, silent, silent);
  await t.rejects(createEmbedder({ ...base, baseUrl, timeoutMs: 50, attempts: 1 }).embed(['a']), { code: 'timeout' });
  const stop = new AbortController();
  const aborted = createEmbedder({ ...base, baseUrl }).embed(['a'], stop.signal);
  stop.abort(new Error('gone'));
  await t.rejects(aborted, { message: 'gone' });
  const embedder = createEmbedder({ ...base, baseUrl });
  const closed = embedder.embed(['a']);
  await embedder.close();
  await t.rejects(closed, { code: 'unavailable' });
});

/** A clock that only the test moves: what is left alone stays so until it says. */
function standStill(t: Test): (ms: number) => void {
  const { now } = Date;
  let at = now();
  Date.now = () => at;
  t.teardown(() => (Date.now = now));
  return (ms) => void (at += ms);
}

t.test(
  'an endpoint in trouble is left alone, tried by one call after a while, and used again when it is back',
  async (t) => {
    const pass = standStill(t);
    const { baseUrl, asked } = await endpoint(t, status(500), status(503), status(500));
    const circuit = createCircuit({ failures: 2, restMs: 300 });
    const [one, other] = ['m', 'n'].map((model) => createEmbedder({ ...base, model, baseUrl, circuit }));
    t.equal(circuit.state(), 'closed');
    await t.rejects(one!.embed(['a']), { code: 'unavailable', message: /503/ }, 'the failure that opens it');
    t.match([circuit.state(), asked.length], ['open', 2], 'no further tries');
    const refused = { code: 'unavailable', message: /left alone/, retryAfter: 1 };
    pass(299);
    await t.rejects(other!.embed(['a']), refused, 'another model of it');
    t.equal(asked.length, 2, 'it was not asked');

    const askAgain = async () => {
      const before = asked.length;
      const results = await Promise.allSettled(Array.from({ length: 5 }, () => one!.embed(['abc'])));
      return { results, probes: asked.length - before };
    };
    pass(1);
    const vain = await askAgain();
    t.equal(vain.probes, 1, 'by one of five calls');
    t.ok(vain.results.every((result) => result.status === 'rejected'));
    t.equal(circuit.state(), 'open', 'still in trouble');
    pass(300);
    const back = await askAgain();
    t.ok(back.results.some((result) => result.status === 'fulfilled'));
    t.equal(circuit.state(), 'closed');
    t.same(await other!.embed(['abc']), [[3, 1]]);
  },
);

t.test('an endpoint that lets its callers run out of time is in trouble; callers who leave are not', async (t) => {
  const pass = standStill(t);
  let client = new AbortController();
  // Not before it was asked, however long that takes: by a time that runs out sooner nobody was let down.
  const timeUp: Reply = () => client.abort(new DOMException('it took too long', 'TimeoutError'));
  const left: Reply = () => client.abort(new Error('gone'));
  const { baseUrl, asked } = await endpoint(t, timeUp, left, timeUp, timeUp, left);
  const circuit = createCircuit({ failures: 2, restMs: 100 });
  const embedder = createEmbedder({ ...base, baseUrl, circuit });
  const ask = () => embedder.embed(['a'], (client = new AbortController()).signal);
  await t.rejects(ask(), { name: 'TimeoutError' });
  await t.rejects(ask(), { message: 'gone' });
  t.equal(circuit.state(), 'closed');
  await t.rejects(ask(), { name: 'TimeoutError' });
  t.match([circuit.state(), asked.length], ['open', 3]);
  await t.rejects(embedder.embed(['a']), { code: 'unavailable', message: /left alone/ }, 'at once');
  for (const reason of [{ name: 'TimeoutError' }, { message: 'gone' }]) {
    pass(100);
    await t.rejects(ask(), reason);
    t.equal(circuit.state(), 'open', 'tried in vain');
  }
  t.equal(asked.length, 5);
});

t.test('being limited or refused is no trouble of the endpoint', async (t) => {
  const { baseUrl } = await endpoint(t, status(429), status(400), status(429), status(400));
  const circuit = createCircuit({ failures: 2 });
  const embedder = createEmbedder({ ...base, baseUrl, circuit, attempts: 1 });
  for (const code of ['rate_limited', 'upstream_failed', 'rate_limited', 'upstream_failed']) {
    await t.rejects(embedder.embed(['a']), { code });
  }
  t.equal(circuit.state(), 'closed');
});

t.test('the configuration decides, and half a configuration is refused', (t) => {
  const modelsOf = (config: Parameters<typeof embeddersFrom>[0]) => {
    const { first, others } = embeddersFrom(config);
    return [first, ...others].map((embedder) => embedder.model);
  };
  t.same(modelsOf({}), ['all-MiniLM-L6-v2']);
  const endpoint = { EMBEDDINGS_BASE_URL: 'http://x', EMBEDDINGS_MODEL: 'bge' };
  t.same(modelsOf(endpoint), ['bge', 'all-MiniLM-L6-v2']);
  t.same(modelsOf({ ...endpoint, EMBEDDINGS_OTHER_MODELS: ' e5, bge,' }), ['bge', 'e5', 'all-MiniLM-L6-v2']);
  t.throws(() => embeddersFrom({ EMBEDDINGS_BASE_URL: 'http://x' }), {
    code: 'invalid_input',
    message: /EMBEDDINGS_MODEL/,
  });
  t.throws(() => embeddersFrom({ EMBEDDINGS_BASE_URL: 'x', EMBEDDINGS_MODEL: 'm' }), {
    message: /EMBEDDINGS_BASE_URL/,
  });
  t.end();
});
