import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import t from 'tap';
import { freePort } from '../src/ports.ts';
import { choosePorts } from '../src/service-ports.ts';

const host = '127.0.0.1';

t.test('ports that cannot be had are named by their variable before anything starts', async (t) => {
  const server = createServer().listen(0, host);
  await once(server, 'listening');
  const busy = (server.address() as AddressInfo).port;
  const free = await freePort();
  const chosen = (env: NodeJS.ProcessEnv) => choosePorts(host, env);
  await t.rejects(chosen({ GATEWAY_PORT: 'abc' }), { message: 'GATEWAY_PORT is not a port: abc' });
  await t.rejects(chosen({ GATEWAY_PORT: '70000' }), { message: 'GATEWAY_PORT is not a port: 70000' });
  await t.rejects(chosen({ GATEWAY_PORT: String(busy) }), {
    message: `Port ${busy} of the gateway is in use by another program: stop that, or choose another with GATEWAY_PORT=… npm start.`,
  });
  await t.rejects(chosen({ GATEWAY_PORT: String(free), WORKER_PORT: String(free) }), {
    message: `GATEWAY_PORT and WORKER_PORT are both ${free}: each service needs a port of its own.`,
  });
  server.close();
});
