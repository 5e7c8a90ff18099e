import {
  estimateTokens,
  FlowstateError,
  type LanguageModel,
  type ModelAnswer,
  type ModelRequest,
} from '@flowstate/contracts';
import { coalesce } from './coalesce.ts';
import type { Conversation } from './conversation.ts';
import type { StepContext } from './definition.ts';
import { StepError } from './interrupt.ts';

/** What a model call leaves on record, beside what settles its reservation. */
type Said = ModelAnswer & { model: string };
/** It was not called: the run is to wait first. */
type Held = { held: 'budget'; cap: string } | { held: 'rate'; afterMs: number };

export type ModelTurn = Omit<ModelRequest, 'model' | 'idempotencyKey'>;

/** One call of a model, as a step. Tries take turns through the models there are; a wait for the next one needs no worker. */
export async function askModel(
  talk: Conversation,
  { name, agent }: { name: string; agent: string },
  turn: ModelTurn,
): Promise<Said | Held> {
  async function once({ signal, attempt, idempotencyKey, settle }: StepContext): Promise<Said | Held> {
    const client = configured(talk.model);
    const { models } = client;
    let model = models[(attempt - 1) % models.length] as string;
    let reservation: string | undefined;
    if (talk.spending !== undefined) {
      const { runId, workflow, prefix } = talk;
      const { maxOutputTokens } = turn;
      const inputTokens = estimateTokens(JSON.stringify(turn));
      const call = { runId, workflow, step: prefix + name, attempt, model, inputTokens, maxOutputTokens };
      const answer = await talk.spending.reserve(call);
      if (answer.decision === 'pause') return { held: 'budget', cap: answer.cap };
      if (answer.decision === 'later') return { held: 'rate', afterMs: answer.afterMs };
      if (answer.decision === 'refused') {
        throw new FlowstateError('budget_exhausted', `${answer.cap}: ${answer.detail}`, { retryable: false });
      }
      ({ model, reservation } = answer);
    }
    const live = coalesce((text) => talk.progress({ agent, step: talk.prefix + name, attempt, text }));
    try {
      const key = encodeURIComponent(`${idempotencyKey}:${attempt}`);
      const answer = await client.ask(
        { ...turn, model, idempotencyKey: key },
        {
          signal,
          onText: live.add,
          onUsage: (used) => reservation !== undefined && settle(reservation, used),
        },
      );
      return { ...answer, model };
    } catch (error) {
      if (!(error instanceof FlowstateError) || attempt >= models.length) throw error;
      // Another model has its turn: at once, and whatever the matter with this one is.
      throw new FlowstateError(error.code, error.message, { retryable: true, retryAfter: 0, cause: error });
    } finally {
      live.end();
    }
  }

  try {
    const attempts = Math.max(5, 2 * (talk.model?.models.length ?? 0));
    return await talk.step(name, once, {
      effect: 'keyed',
      retry: { attempts, backoffMs: 500, maxBackoffMs: 30_000 },
    });
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    // With a code a workflow can act on; the step and its tries stay with it.
    if (!(error.cause instanceof FlowstateError)) throw new FlowstateError('internal', error.message, { cause: error });
    const { code, message, retryable } = error.cause;
    throw new FlowstateError(code, message, { retryable, cause: error });
  }
}

function configured(model: LanguageModel | null): LanguageModel {
  // It was where the run began; another worker may have it.
  if (model === null) throw new FlowstateError('unavailable', 'No language model is configured on this worker');
  return model;
}
