import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import t from 'tap';
import { freePort, isPortFree } from '../src/ports.ts';

t.test('a port in use is seen, and another one taken', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  t.equal(await isPortFree(port), false);
  t.not(await freePort(port), port);
  server.close();
  await once(server, 'close');
  t.equal(await isPortFree(port), true);
  t.equal(await freePort(port), port, 'the wanted one when it is free');
});
