import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Cleanup } from '../cleanup.ts';
import type { Target } from '../contenders/contender.ts';
import type { Answer, Answers, Command, Count, Latencies, Setup } from './messages.ts';

export type Load = {
  flood(inFlight: number): Promise<void>;
  stop(): Promise<Latencies>;
  pace(perSecond: number, runs: number): Promise<Latencies>;
  count(): Promise<Count>;
};

/** A load generator as a process of its own; it ends with `cleanup`. */
export async function startLoad(
  { cleanup, signal }: { cleanup: Cleanup; signal: AbortSignal },
  target: Target,
  connections: number,
): Promise<Load> {
  const child = fork(fileURLToPath(new URL('generator.ts', import.meta.url)));
  const ended = once(child, 'exit');
  cleanup.teardown(async () => {
    if (child.connected) child.disconnect();
    await ended;
  });

  const interrupted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
  interrupted.catch(() => {}); // whoever asks hears of it

  /** One command at a time. */
  async function ask(message: Command | Setup): Promise<unknown> {
    child.send(message);
    const answered = once(child, 'message') as Promise<[Answer]>;
    const [answer] = await Promise.race([
      answered,
      interrupted,
      ended.then(() => {
        throw new Error('The load generator ended');
      }),
    ]);
    if (!answer.ok) throw new Error(answer.message);
    return answer.value;
  }
  const command = <T extends Command['type']>(message: Command & { type: T }) => ask(message) as Promise<Answers[T]>;

  await ask({ type: 'setup', target, connections });
  return {
    async flood(inFlight) {
      await command({ type: 'flood', inFlight });
    },
    stop: () => command({ type: 'stop' }),
    pace: (perSecond, runs) => command({ type: 'pace', perSecond, runs }),
    count: () => command({ type: 'count' }),
  };
}
