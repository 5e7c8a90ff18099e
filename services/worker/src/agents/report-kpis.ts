import { Nullable, OneOf } from '@flowstate/contracts';
import Type, { type Static } from 'typebox';
import type { ClaimBook } from './claims.ts';
import { rowsOf, type EvidenceKind } from './evidence.ts';
import { formatFigure, Unit } from './figure-format.ts';
import type { ReportFacts } from './report-facts.ts';
import { figure, type Figure } from './statement.ts';
import { round } from './statistics.ts';

export const Kpi = Type.Object(
  {
    name: Type.String(),
    label: Type.String(),
    unit: Unit,
    value: Nullable(Type.Number()),
    previous: Nullable(Type.Number()),
    direction: OneOf(['up', 'down', 'flat', 'unknown']),
    better: Nullable(Type.Boolean({ description: 'is the change good? null when flat or unknown' })),
    basis: Type.String({ description: 'what is compared with what' }),
    claim: Nullable(Type.String()),
    previousClaim: Nullable(Type.String()),
  },
  { additionalProperties: false },
);
export type Kpi = Static<typeof Kpi>;

type Draft = {
  name: string;
  label: string;
  unit: Unit;
  now: Figure | null;
  before: Figure | null;
  /** What a rise means; null when neither. */
  risingIsGood: boolean | null;
  basis: string;
};

const spans = 'last thirty days, ninety before';
const month = 'now, thirty days ago';
const quarter = 'now, ninety days ago';
const only = 'now';

/** The key figures with what they were before; null where the facts do not say. */
export function kpisOf(facts: ReportFacts, book: ClaimBook): Kpi[] {
  return draftsOf(facts).map(({ name, label, unit, now, before, risingIsGood, basis }) => {
    const direction = directionOf(now, before);
    const changed = direction === 'up' || direction === 'down';
    return {
      name,
      label,
      unit,
      value: now?.value ?? null,
      previous: before?.value ?? null,
      direction,
      better: changed && risingIsGood !== null ? (direction === 'up') === risingIsGood : null,
      basis,
      claim: now === null ? null : book.claim(now),
      previousClaim: before === null ? null : book.claim(before),
    };
  });
}

/** A change that does not show in the figures as written is none. */
function directionOf(now: Figure | null, before: Figure | null): Kpi['direction'] {
  if (now === null || before === null) return 'unknown';
  if (formatFigure(now.value, now.unit) === formatFigure(before.value, before.unit)) return 'flat';
  return now.value > before.value ? 'up' : 'down';
}

function draftsOf({ customerId, interaction, sales, integration }: ReportFacts): Draft[] {
  const { sentiment, volume, response, openQuestions, openQuestionsBefore, silence } = interaction;
  const { closed, pipeline } = sales;
  const make = (kind: EvidenceKind) => (label: string, value: number | null, unit: Unit, ids: readonly string[]) =>
    value === null ? null : figure(label, value, unit, rowsOf(kind, ids, customerId));
  const said = make('interaction');
  const sold = make('opportunity');
  const linked = make('integration');
  const incidents = integration.incidents.filter(({ source }) => source === 'recorded');
  const closedIds = [...closed.wonIds, ...closed.lostIds];
  const closedBefore = [...closed.before.wonIds, ...closed.before.lostIds];
  const scored = integration.integrations.filter(({ score }) => score !== null).map(({ id }) => id);
  return [
    {
      name: 'sentiment',
      label: 'Sentiment',
      unit: 'score',
      now: said('mean sentiment of the last thirty days', sentiment.recent.mean, 'score', sentiment.recent.ids),
      before: said(
        'mean sentiment of the ninety days before',
        sentiment.previous.mean,
        'score',
        sentiment.previous.ids,
      ),
      risingIsGood: true,
      basis: spans,
    },
    {
      name: 'interactions',
      label: 'Interactions in thirty days',
      unit: 'count',
      now: said('interactions in the last thirty days', volume.recent.count, 'count', volume.recent.ids),
      before: said(
        'interactions per thirty days in the ninety before',
        round(volume.previous.count / 3, 1),
        'count',
        volume.previous.ids,
      ),
      risingIsGood: null,
      basis: spans,
    },
    {
      name: 'response-time',
      label: 'Median response time',
      unit: 'hours',
      now: said(
        'median response time of the last thirty days',
        response.recent.medianHours,
        'hours',
        response.recent.ids,
      ),
      before: said(
        'median response time of the ninety days before',
        response.previous.medianHours,
        'hours',
        response.previous.ids,
      ),
      risingIsGood: false,
      basis: spans,
    },
    {
      name: 'open-questions',
      label: 'Open questions',
      unit: 'count',
      now: said('open questions', openQuestions.count, 'count', openQuestions.ids),
      before: said('questions open thirty days ago', openQuestionsBefore.count, 'count', openQuestionsBefore.ids),
      risingIsGood: false,
      basis: month,
    },
    {
      name: 'days-silent',
      label: 'Time since the last contact',
      unit: 'days',
      now:
        silence.last &&
        said('days since the last contact in either direction', silence.last.days, 'days', [silence.last.id]),
      before: null,
      risingIsGood: false,
      basis: only,
    },
    {
      name: 'expected-value',
      label: 'Expected value of open opportunities',
      unit: 'usd',
      now: sold('expected value of open opportunities', pipeline.expectedValue, 'usd', pipeline.valued),
      before: null,
      risingIsGood: true,
      basis: only,
    },
    {
      name: 'win-rate',
      label: 'Win rate',
      unit: 'ratio',
      now: sold('win rate of closed opportunities', closed.winRate, 'ratio', closedIds),
      before: sold('win rate ninety days ago', closed.before.winRate, 'ratio', closedBefore),
      risingIsGood: true,
      basis: quarter,
    },
    {
      name: 'won-revenue',
      label: 'Won revenue',
      unit: 'usd',
      now: sold('revenue of won opportunities', closed.wonRevenue, 'usd', closed.wonIds),
      before: sold('won revenue ninety days ago', closed.before.wonRevenue, 'usd', closed.before.wonIds),
      risingIsGood: true,
      basis: quarter,
    },
    {
      name: 'integration-health',
      label: 'Integration health',
      unit: 'points',
      now: linked('mean health of integrations in use', integration.score, 'points', scored),
      before: null,
      risingIsGood: true,
      basis: only,
    },
    {
      name: 'open-incidents',
      label: 'Recorded open incidents',
      unit: 'count',
      now: linked('recorded open incidents', incidents.length, 'count', [
        ...new Set(incidents.map(({ integrationId }) => integrationId)),
      ]),
      before: linked(
        'incidents open thirty days ago',
        integration.incidentsBefore.count,
        'count',
        integration.incidentsBefore.ids,
      ),
      risingIsGood: false,
      basis: month,
    },
  ];
}
