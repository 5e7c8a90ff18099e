import { ageBucketBounds, ageBucketOf, ageBuckets, OneOf, type Opportunity } from '@flowstate/contracts';
import Type, { type Static } from 'typebox';
import { rateOf, type History } from './base-rates.ts';
import { figure, quote, quoted, say, Statement } from './statement.ts';
import { round, sum } from './statistics.ts';
import { daysBetween, timeOf } from './timestamps.ts';
import { factorLabel, overallRate, wonShare, type WinFactor } from './win-probability.ts';

export const Risk = Type.Object(
  {
    risk: OneOf(['older-than-wins', 'stale-stage', 'no-amount', 'low-rate', 'no-opening-date']),
    reason: Statement,
  },
  { additionalProperties: false },
);
export type Risk = Static<typeof Risk>;

/** Older than this share of all won opportunities were when they closed. */
const oldShare = 0.8;
/** Days without a change of stage. */
const staleDays = 60;
/** A rate this far below the overall one, in percentage points over a hundred, is a warning of its own. */
const lowRateGap = 0.1;

/** What speaks against an open opportunity, each with its figures. */
export function risksOf(
  row: Opportunity,
  {
    history,
    factors,
    ageDays,
    now,
  }: { history: History; factors: readonly WinFactor[]; ageDays: number | null; now: number },
): Risk[] {
  const name = quoted(row.name ?? row.externalId);
  const itself = { kind: 'opportunity' as const, ids: [row.id] };
  const risks: Risk[] = [];

  if (ageDays === null) {
    risks.push({ risk: 'no-opening-date', reason: say`it is not known how long it has been open` });
  } else {
    const bucket = ageBuckets.indexOf(ageBucketOf(ageDays));
    const wonIn = (buckets: readonly string[]) => sum(buckets.map((one) => rateOf(history.rates, 'age', one).won));
    const [younger, won] = [wonIn(ageBuckets.slice(0, bucket)), wonIn(ageBuckets)];
    if (won > 0 && younger / won >= oldShare) {
      const age = figure(`days ${name} has been open`, ageDays, 'days', itself);
      // Wins are counted by bucket, so the share holds for the bucket's beginning, not for this very age.
      const days = ageBucketBounds[bucket - 1] ?? 0;
      const closed = history.evidence('age', '');
      const share = figure(
        `share of won opportunities that closed within ${days} days`,
        round(younger / won, 4),
        'ratio',
        closed,
      );
      const limit = figure('age this share of the won opportunities did not exceed', days, 'days', closed);
      risks.push({
        risk: 'older-than-wins',
        reason: say`open for ${age}; ${share} of what was won closed within ${limit}`,
      });
    }
  }

  const entered = (row.history ?? []).filter(({ stage }) => stage === row.stage).map(({ at }) => timeOf(at));
  if (entered.length > 0) {
    const days = daysBetween(Math.max(...entered), now);
    if (days > staleDays) {
      const stale = figure(`days ${name} has been in its stage`, days, 'days', itself);
      risks.push({ risk: 'stale-stage', reason: say`in stage ${quote(row.stage)} for ${stale}` });
    }
  }

  if (typeof row.amount !== 'number') risks.push({ risk: 'no-amount', reason: say`no amount is recorded` });

  const p0 = overallRate(history);
  for (const { dimension, value, rate } of factors) {
    if (p0 === null || rate === null || dimension === 'age' || rate > p0 - lowRateGap) continue;
    const low = figure(factorLabel(dimension, value), rate, 'ratio', history.evidence(dimension, value));
    const all = figure('overall win rate', wonShare(history) ?? 0, 'ratio', history.evidence('all', ''));
    risks.push({
      risk: 'low-rate',
      reason: say`the win rate of ${dimension} ${quote(value)} is ${low}, of all ${all}`,
    });
  }
  return risks;
}
