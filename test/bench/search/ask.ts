import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createCleanup } from '../cleanup.ts';
import type { AskerAnswer, AskerCommand, Asked, Stretch } from './asker.ts';
import type { Questions } from './questions.ts';

/** Has a process of its own ask the questions for a stretch of time. */
export async function askFor(questions: Questions, stretch: Stretch, signal: AbortSignal): Promise<Asked> {
  const cleanup = createCleanup();
  const child = fork(fileURLToPath(new URL('asker.ts', import.meta.url)));
  const ended = once(child, 'exit');
  cleanup.teardown(async () => {
    if (child.connected) child.disconnect();
    await ended;
  });
  const gone = ended.then(() => {
    throw new Error('the asking process ended');
  });
  const interrupted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
  for (const promise of [gone, interrupted]) promise.catch(() => {}); // whoever asks hears of it
  async function command(message: AskerCommand): Promise<Asked | null> {
    const answered = once(child, 'message') as Promise<[AskerAnswer]>;
    child.send(message);
    const [answer] = await Promise.race([answered, gone, interrupted]);
    if (!answer.ok) throw new Error(answer.message);
    return answer.value;
  }
  try {
    signal.throwIfAborted();
    await command({ type: 'open', questions });
    return (await command({ type: 'ask', ...stretch })) as Asked;
  } finally {
    await cleanup.run();
  }
}
