import { once } from 'node:events';
import { createServer, get, type IncomingMessage } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import t from 'tap';
import { trackUnusedConnections } from '../src/unused-connections.ts';

t.test('a connection that never asked for anything does not hold up the end; a request does', async (t) => {
  const arrived = Promise.withResolvers<() => void>();
  const server = createServer((_request, response) => arrived.resolve(() => response.end('done')));
  const dropUnused = trackUnusedConnections(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  const asked = get({ port, host: '127.0.0.1', agent: false });
  const answered = once(asked, 'response') as Promise<[IncomingMessage]>;
  const answer = await arrived.promise;
  const accepted = once(server, 'connection');
  const idle = connect(port, '127.0.0.1');
  await accepted;

  const closed = once(server, 'close');
  server.close();
  dropUnused();
  await once(idle, 'close');
  answer();
  const [response] = await answered;
  t.equal((await response.setEncoding('utf8').toArray()).join(''), 'done');
  await closed;
});
