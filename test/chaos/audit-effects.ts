import type { FarEnd } from './far-end.ts';
import type { Findings } from './findings.ts';

/** What the far end alone can tell: one key for each keyed effect, and nothing unsafe twice. */
export function auditEffects({ keyed, unsafe, executions }: FarEnd, findings: Findings): void {
  const runOf = new Map(executions.map(({ ticket, run }) => [ticket, run]));
  const keys = new Map<string, Set<string>>();
  for (const { ticket, step, effect, key } of executions) {
    if (effect !== 'keyed') continue;
    const work = `${ticket} ${step}`;
    keys.set(work, (keys.get(work) ?? new Set()).add(key));
    const known = keyed.get(key);
    if (known && (known.ticket !== ticket || known.step !== step)) {
      findings.add(
        `one key, ${key}, stands for two effects: ${known.ticket} ${known.step} and ${work}`,
        runOf.get(ticket),
      );
    }
  }
  for (const [work, used] of keys) {
    if (used.size > 1)
      findings.add(`the keyed effect ${work} came under ${used.size} keys`, runOf.get(work.split(' ')[0] ?? ''));
  }
  const happened = new Map<string, number>();
  for (const { ticket, step } of unsafe) {
    const work = `${ticket} ${step}`;
    happened.set(work, (happened.get(work) ?? 0) + 1);
    if ((happened.get(work) ?? 0) > 1)
      findings.add(`the unsafe effect ${work} happened ${happened.get(work)} times`, runOf.get(ticket));
  }
}
