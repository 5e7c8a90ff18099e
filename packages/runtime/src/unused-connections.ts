import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Remembers connections that have not carried a request yet (clients open some ahead of need). Closing a server waits
 * for them, sometimes for minutes, and for those that a client keeps after an answer that was under way when it closed.
 * The function returned ends them, and those that still come, so that a drain waits for work only.
 */
export function trackUnusedConnections(server: Server): () => void {
  const unused = new Set<Socket>();
  let dropping = false;
  server.on('connection', (socket) => {
    if (dropping) socket.destroy();
    else unused.add(socket);
    socket.once('close', () => unused.delete(socket));
  });
  server.on('request', (request, response) => {
    unused.delete(request.socket);
    // Only after this turn is its connection idle.
    response.once('close', () => dropping && setImmediate(() => server.closeIdleConnections()));
  });
  return () => {
    dropping = true;
    for (const socket of unused) socket.destroy();
  };
}
