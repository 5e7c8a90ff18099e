import { latencyOf } from '../load/latency.ts';
import { createQuestions, type Ask, type Questions } from './questions.ts';

// A process of its own, so that asking takes nothing from measuring what an answer costs.

export type Stretch = { concurrency: number; warmUpMs: number; windowMs: number };
export type Asked = {
  perSecond: number;
  p50: number;
  p99: number;
  /** All that were answered, those of the warm-up too. */
  answered: number;
  /** CPU time of the asking process, in ms a question. */
  askerCpuMs: number;
};
export type AskerCommand = { type: 'open'; questions: Questions } | ({ type: 'ask' } & Stretch);
export type AskerAnswer = { ok: true; value: Asked | null } | { ok: false; message: string };

let ask: Ask;

/** Asks one question after the other, `concurrency` at a time; what ends within the window counts. */
async function measure({ concurrency, warmUpMs, windowMs }: Stretch): Promise<Asked> {
  const from = performance.now() + warmUpMs;
  const to = from + windowMs;
  const took: number[] = [];
  const before = process.cpuUsage();
  let next = 0;
  async function slot(): Promise<void> {
    for (let begun = performance.now(); begun < to;) {
      await ask(next++);
      const ended = performance.now();
      if (ended >= from && ended < to) took.push(ended - begun);
      begun = ended;
    }
  }
  await Promise.all(Array.from({ length: concurrency }, slot));
  const { user, system } = process.cpuUsage(before);
  const askerCpuMs = (user + system) / 1000 / next;
  return { perSecond: (took.length / windowMs) * 1000, ...latencyOf(took), answered: next, askerCpuMs };
}

async function obey(command: AskerCommand): Promise<Asked | null> {
  if (command.type === 'ask') return measure(command);
  ask = await createQuestions(command.questions);
  return null;
}

process.on('message', (command: AskerCommand) => {
  const answer = (value: AskerAnswer) => process.send?.(value);
  void obey(command).then(
    (value) => answer({ ok: true, value }),
    (error: unknown) => answer({ ok: false, message: (error as Error).message }),
  );
});
process.on('disconnect', () => process.exit());
