import { atLeast, atMost, type Target } from '../targets.ts';
import { levelNames } from './growth.ts';
import type { Plan } from './plan.ts';
import type { Round } from './round.ts';
import type { Throughput } from './throughput.ts';

/** Throughput beside the others'. */
export function ratiosOf(contenders: Record<string, Round>): Record<string, number | null> {
  const ratio = (one: string, other: string) => {
    const [a, b] = [contenders[one]?.runsPerSecond, contenders[other]?.runsPerSecond];
    return a === undefined || b === undefined ? null : a / b;
  };
  return {
    'product/bare': ratio('product', 'bare'),
    'product/hand-written': ratio('product', 'hand-written'),
    'strict/bare': ratio('strict', 'bare'),
    'hand-written/bare': ratio('hand-written', 'bare'),
  };
}

/** What the system is to reach, and what it does. */
export function targetsOf(contenders: Record<string, Round>, growth: Record<string, Throughput>, plan: Plan): Target[] {
  const ratios = ratiosOf(contenders);
  const paced = contenders['product']?.paced;
  return [
    atLeast('Flowstate / (a)', ratios['product/bare'], 0.5),
    atLeast('Flowstate / (b)', ratios['product/hand-written'], 2),
    atLeast('Flowstate strict / (a)', ratios['strict/bare'], 0.35),
    atMost('at 20 runs/s: submit p99, ms', paced?.submit.p99, 8),
    atMost('at 20 runs/s: done p50, ms', paced?.done.p50, 6),
    atMost('at 20 runs/s: done p99, ms', paced?.done.p99, 12),
    atLeast(
      'throughput at most / at fewest finished runs',
      lastToFirst(growth, plan.finished.map(levelNames.finished)),
      0.9,
    ),
    atLeast('throughput at most / at fewest queued runs', lastToFirst(growth, plan.queued.map(levelNames.queued)), 0.9),
  ];
}

function lastToFirst(growth: Record<string, Throughput>, levels: readonly string[]): number | null {
  const [first, last] = [growth[levels[0] ?? ''], growth[levels.at(-1) ?? '']];
  return first === undefined || last === undefined || first === last ? null : last.runsPerSecond / first.runsPerSecond;
}
