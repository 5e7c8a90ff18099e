import { createServer } from 'node:http';
import { Worker, type Processor } from 'bullmq';

/** What both hand-made contenders have in common: a BullMQ worker, and a health check as any deployment has. */
export function createWorker<T, R>(handle: Processor<T, R>, close: () => Promise<void>): void {
  const worker = new Worker<T, R>('runs', handle, {
    connection: { url: process.env['REDIS_URL'] ?? '', maxRetriesPerRequest: null },
    concurrency: Number(process.env['CONCURRENCY']),
  });
  worker.on('error', (error) => console.error(error.message));
  const health = createServer((_request, response) => response.end('{"status":"ok"}'));
  health.listen(Number(process.env['PORT']), '127.0.0.1');
  process.once('SIGTERM', () => {
    void worker
      .close()
      .then(close)
      .then(() => process.exit());
  });
}
