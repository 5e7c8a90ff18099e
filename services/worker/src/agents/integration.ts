import {
  AnyId,
  integrationStatuses,
  IntegrationInput,
  Nullable,
  OneOf,
  Timestamp,
  type Integration,
} from '@flowstate/contracts';
import { defineAgent } from '@flowstate/workflow';
import Type, { type Static } from 'typebox';
import { createCrm } from '../crm.ts';
import { inlineRows } from './inline-facts.ts';
import { Deduction, deductionsOf, HealthStatus, scoreOf, statusOf } from './integration-health.ts';
import { incidentsOf, IncidentReport, openIncidentsAt } from './integration-incidents.ts';
import { mean, round } from './statistics.ts';
import { compareText, recentDays } from './time-span.ts';
import { dayMs, timeOf } from './timestamps.ts';

const closed = { additionalProperties: false };

const IntegrationAgentInput = Type.Object(
  {
    customerId: AnyId,
    asOf: Timestamp,
    integrations: Type.Optional(Type.Array(IntegrationInput, { description: 'inline facts; else they are read' })),
  },
  closed,
);

const Health = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    kind: Type.String(),
    reported: OneOf(integrationStatuses),
    status: HealthStatus,
    score: Nullable(Type.Number({ minimum: 0, maximum: 100, description: 'null when disabled' })),
    deductions: Type.Array(Deduction),
  },
  closed,
);

export const IntegrationResult = Type.Object(
  {
    status: HealthStatus,
    score: Nullable(Type.Number({ minimum: 0, maximum: 100, description: 'mean of those not disabled' })),
    integrations: Type.Array(Health, { description: 'the worst first' }),
    incidents: Type.Array(IncidentReport),
    incidentsBefore: Type.Object(
      { asOf: Timestamp, count: Type.Integer(), ids: Type.Array(Type.String()) },
      { ...closed, description: 'recorded incidents open thirty days earlier' },
    ),
    truncated: Type.Boolean(),
  },
  closed,
);
export type IntegrationResult = Static<typeof IntegrationResult>;

/** Judges the connections to a customer's systems and lists what is broken, since when. */
export const integrationAgent = defineAgent({
  name: 'integration',
  description: 'Health of integrations from status, latency, last sync and errors, and their incidents',
  input: IntegrationAgentInput,
  output: IntegrationResult,
  async run(ctx, { customerId, asOf, integrations }) {
    const { rows, truncated } = integrations
      ? { rows: inlineRows(integrations), truncated: false }
      : await createCrm(ctx.backend, ctx.signal).integrations(customerId);
    return { ...judge(rows, timeOf(asOf)), truncated };
  },
});

function judge(rows: readonly Integration[], now: number): Omit<IntegrationResult, 'truncated'> {
  const integrations = rows
    .map((row) => healthOf(row, now))
    .sort((a, b) => (a.score ?? Infinity) - (b.score ?? Infinity) || compareText(a.id, b.id));
  const scores = integrations.flatMap(({ score }) => (score === null ? [] : [score]));
  const average = mean(scores);
  const then = now - recentDays * dayMs;
  const before = rows.flatMap((row) => openIncidentsAt(row, then).map(() => row.id));
  return {
    // One dead connection is what a customer feels, however well the others do.
    status: integrations[0]?.status ?? 'unknown',
    score: average === null ? null : round(average, 1),
    integrations,
    incidents: incidentsOf(rows, now),
    incidentsBefore: { asOf: new Date(then).toISOString(), count: before.length, ids: [...new Set(before)] },
  };
}

function healthOf(row: Integration, now: number): IntegrationResult['integrations'][number] {
  const { id, name, kind, status: reported } = row;
  if (reported === 'disabled') return { id, name, kind, reported, status: 'disabled', score: null, deductions: [] };
  const deductions = deductionsOf(row, now, openIncidentsAt(row, now).length);
  const score = scoreOf(deductions);
  return { id, name, kind, reported, status: statusOf(score), score, deductions };
}
