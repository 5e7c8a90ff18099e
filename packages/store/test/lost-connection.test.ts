import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { createSql } from '@flowstate/store';
import t from 'tap';

/** What a server says once it has let a client in: authentication ok, ready for a query. */
const welcome = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0, 0x5a, 0, 0, 0, 5, 0x49]);

t.test('a server lost while a new connection asks for its types fails the statement, not the process', async (t) => {
  const server = createServer((socket) => {
    socket.once('data', () => {
      socket.write(welcome);
      // The client's first question, of its own accord: from here on nobody answers at this address.
      socket.once('data', () => {
        server.close();
        socket.destroy();
      });
    });
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const unhandled: unknown[] = [];
  const note = (error: unknown) => unhandled.push(error);
  process.on('unhandledRejection', note);
  t.teardown(() => process.off('unhandledRejection', note));
  const sql = createSql(`postgres://nobody:none@127.0.0.1:${(server.address() as AddressInfo).port}/none`, {
    name: 'lost-connection',
    max: 1,
  });
  await t.rejects(sql`SELECT 1`, { code: 'ECONNREFUSED' });
  await sql.end({ timeout: 1 });
  t.same(unhandled, []);
});
