import { randomUUID } from 'node:crypto';
import { FlowstateError, nameOfBudget, toUsd } from '@flowstate/contracts';
import {
  createBatcher,
  reserveModelCalls,
  type CallToReserve,
  type ModelPrices,
  type Reservation,
  type Sql,
} from '@flowstate/store';
import type { SpendingDecision, SpendingPort } from '@flowstate/workflow';
import type { ModelRate } from './model-rate.ts';
import type { ThroughOutages } from './through-outages.ts';

type Options = {
  sql: Sql;
  /** This worker's incarnation: it reserves for runs it holds. */
  owner: () => number;
  prices: ModelPrices;
  rate: ModelRate;
  throughOutages: ThroughOutages;
  onDecision?: (decision: SpendingDecision['decision']) => void;
};

/** Calls in one statement at most: while it runs, others wait for the same counters. */
const maxItems = 50;

/**
 * Decides on calls of models before they are made: first by the provider's rate, which costs nothing to have asked for,
 * then by the budgets.
 */
export function createSpending({ sql, owner, prices, rate, throughOutages, onDecision }: Options): SpendingPort {
  const reservations = createBatcher<CallToReserve, Reservation>({
    summary: 'SELECT reserve_model_calls',
    maxItems,
    flush: (calls) => throughOutages(() => reserveModelCalls(sql, owner(), calls, prices)),
  });

  async function decide({
    workflow: _workflow,
    ...call
  }: Parameters<SpendingPort['reserve']>[0]): Promise<SpendingDecision> {
    const afterMs = await rate.take(call.inputTokens + call.maxOutputTokens);
    if (afterMs > 0) return { decision: 'later', afterMs };
    return toDecision(await reservations.add({ id: randomUUID(), ...call }));
  }

  return {
    async reserve(call) {
      const decision = await decide(call);
      onDecision?.(decision.decision);
      return decision;
    },
  };
}

function toDecision(answer: Reservation): SpendingDecision {
  if (answer.decision === 'granted') return { decision: 'granted', model: answer.model, reservation: answer.id };
  if (answer.decision === 'lost') throw new FlowstateError('conflict', 'The run is not in the hands of this worker');
  const { budget, model, needTokens, needMicroUsd } = answer;
  const cap = `budget of ${nameOfBudget(budget)}`;
  if (answer.decision === 'pause') return { decision: 'pause', cap };
  if (needMicroUsd === null && budget.maxMicroUsd !== null) {
    return { decision: 'refused', cap, detail: `it is in money, and ${model} has no price in LLM_PRICES` };
  }
  const most = [
    ...(budget.maxTokens === null ? [] : [`${budget.maxTokens} tokens`]),
    ...(budget.maxMicroUsd === null ? [] : [`${toUsd(budget.maxMicroUsd)} USD`]),
  ].join(' and ');
  const need = `${needTokens} tokens${needMicroUsd === null ? '' : `, ${toUsd(needMicroUsd)} USD`}`;
  return { decision: 'refused', cap, detail: `its ${most} leave no room for a call of up to ${need}` };
}
