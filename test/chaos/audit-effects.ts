import type { FarEnd } from './far-end.ts';
import type { Findings } from './findings.ts';

/** What the far end alone can tell: one key for each keyed effect of a run, and nothing unsafe twice. */
export function auditEffects({ keyed, unsafe, executions }: FarEnd, listed: Set<string>, findings: Findings): void {
  const keys = new Map<string, { run: string; keys: Set<string> }>();
  const strangers = new Set<string>();
  for (const { run, ticket, step, effect, key } of executions) {
    if (!listed.has(run)) strangers.add(`${ticket} was worked on by ${run}, which is not in the ledger`);
    if (effect !== 'keyed') continue;
    const work = `${ticket} ${step} of ${run}`;
    const used = keys.get(work) ?? { run, keys: new Set() };
    used.keys.add(key);
    keys.set(work, used);
    const known = keyed.get(key);
    if (known && (known.run !== run || known.step !== step))
      findings.add(`one key, ${key}, stands for two effects: ${known.step} of ${known.run} and ${work}`, run);
  }
  for (const stranger of strangers) findings.add(stranger);
  for (const [work, used] of keys) {
    if (used.keys.size > 1) findings.add(`the keyed effect ${work} came under ${used.keys.size} keys`, used.run);
  }
  const happened = new Map<string, number>();
  for (const { run, ticket, step } of unsafe) {
    const work = `${ticket} ${step} of ${run}`;
    const times = (happened.get(work) ?? 0) + 1;
    happened.set(work, times);
    if (times > 1) findings.add(`the unsafe effect ${work} happened ${times} times`, run);
  }
}
