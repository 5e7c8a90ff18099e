import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { storeImages } from '@flowstate/local';
import t from 'tap';
import { startContainerStores } from './support/containers.ts';

type Pull = (response: Parameters<RequestListener>[1]) => void;

/** A Docker engine as it is behind a firewall: it answers, has no image, and gets none. */
const refusing: Pull = (response) => {
  response.writeHead(500, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ message: 'registry.example: no such host' }));
};
let pull = refusing;
const created: string[] = [];
const engine = createServer((request, response) => {
  const path = request.url?.replace(/^\/v[\d.]+/, '') ?? '';
  const json = (status: number, body: unknown) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  };
  if (path === '/_ping') return void response.end('OK');
  if (path.startsWith('/info')) return json(200, { OperatingSystem: 'Linux', Images: 0 });
  if (path.startsWith('/version')) return json(200, { Version: '28.0.0', ApiVersion: '1.48' });
  if (path.startsWith('/images/create')) return pull(response);
  if (path.startsWith('/images/')) return json(404, { message: `No such image: ${path}` });
  if (path === '/networks/bridge') return json(200, { IPAM: { Config: [{ Gateway: '127.0.0.1' }] } });
  if (path.startsWith('/containers/create')) created.push(path);
  json(500, { message: `${path} is more than this engine knows` });
});

t.before(async () => {
  const dir = mkdtempSync(join(tmpdir(), 'engine-test-'));
  const socket = join(dir, 'docker.sock');
  engine.listen(socket);
  await once(engine, 'listening');
  process.env['DOCKER_HOST'] = `unix://${socket}`;
  t.teardown(() => {
    engine.closeAllConnections();
    engine.close();
    rmSync(dir, { recursive: true });
  });
});

t.test('an engine that cannot get an image is passed over with a line that names it', async (t) => {
  pull = refusing;
  const lines: string[] = [];
  const { signal } = new AbortController();
  t.equal(await startContainerStores({ log: (line) => lines.push(line), signal }), null);
  t.equal(lines.length, 2);
  t.equal(lines[0], `Pulling ${storeImages.postgres} …`);
  t.match(
    lines[1],
    `A Docker engine answers, but cannot run the stores (${storeImages.postgres}: (HTTP code 500) server error - registry.example: no such host): using local programs`,
  );
  t.notMatch(lines[1], '\n');
  t.strictSame(created, []);
});

t.test('Ctrl-C does not wait for an image that is being pulled', async (t) => {
  const stop = new AbortController();
  // It never answers; the request's arrival is the moment of the Ctrl-C.
  pull = () => stop.abort();
  await t.rejects(startContainerStores({ log: () => {}, signal: stop.signal }), { name: 'AbortError' });
  t.strictSame(created, []);
});
