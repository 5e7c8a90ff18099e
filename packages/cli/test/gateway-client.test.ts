import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import t from 'tap';
import { createGatewayClient, GatewayAway } from '../src/gateway-client.ts';

t.test('a gateway that takes connections and never answers is given up, and the way past it named', async (t) => {
  const hangs = createServer((socket) => void socket.on('error', () => {})).listen(0, '127.0.0.1');
  t.teardown(() => hangs.close());
  await once(hangs, 'listening');
  const url = new URL(`http://127.0.0.1:${(hangs.address() as AddressInfo).port}`);
  const { signal } = new AbortController();
  const client = createGatewayClient(url, { email: 'a', password: 'b' }, { signal, loginMs: 50 });
  const error = await client.request('GET', '/api/runs').catch((error: unknown) => error);
  t.type(error, GatewayAway);
  t.match(error, { message: /^No answer from http:\S+ within 0\.05 s.*--direct/ });
});
