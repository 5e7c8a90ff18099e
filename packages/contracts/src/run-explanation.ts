import Type, { type Static } from 'typebox';
import { Nullable, OneOf, Timestamp } from './schema.ts';

const Ms = Type.Number({ minimum: 0 });
const Calls = { calls: Type.Integer({ minimum: 0 }), ms: Ms };
const BackendCalls = Type.Object({ operation: Type.String(), ...Calls });
const ModelCalls = Type.Object({
  model: Type.String(),
  ...Calls,
  inputTokens: Type.Integer({ minimum: 0 }),
  outputTokens: Type.Integer({ minimum: 0 }),
  costUsd: Nullable(Type.Number({ minimum: 0 })),
});

/** Where the time and the cost of one run went, by what the ledger has on record. */
export const RunExplanation = Type.Object(
  {
    id: Type.String(),
    workflow: Type.String(),
    state: Type.String(),
    traceId: Nullable(Type.String()),
    attempt: Type.Integer(),
    createdAt: Timestamp,
    finishedAt: Nullable(Timestamp),
    totalMs: Type.Number({ minimum: 0, description: 'From its acceptance to its end, or to now' }),
    time: Type.Object(
      {
        queue: Ms,
        claim: Ms,
        steps: Ms,
        waits: Ms,
        recovery: Ms,
        engine: Ms,
      },
      {
        description:
          'Milliseconds of the total, each counted once: `queue` until a worker took it (or took it again after a ' +
          'retry), `claim` from there to its first step or wait, `steps` while any step ran, `waits` while it only ' +
          'waited, `recovery` between two of its workers, `engine` the rest (checkpoints and code between steps)',
      },
    ),
    steps: Type.Array(
      Type.Object({
        name: Type.String(),
        attempt: Type.Integer(),
        state: OneOf(['completed', 'failed', 'running']),
        startedAt: Timestamp,
        ms: Ms,
        backend: Type.Array(BackendCalls),
        models: Type.Array(ModelCalls),
      }),
    ),
    waits: Type.Array(Type.Object({ name: Type.String(), startedAt: Timestamp, ms: Ms })),
    backend: Type.Array(BackendCalls),
    models: Type.Array(ModelCalls),
    costUsd: Nullable(Type.Number({ description: 'Of the model calls whose price is known' })),
  },
  { $id: 'RunExplanation' },
);
export type RunExplanation = Static<typeof RunExplanation>;
