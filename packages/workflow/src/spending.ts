/** What one call of a language model may use at most, said before it is made. */
export type PlannedCall = {
  runId: string;
  workflow: string;
  /** The step that makes it: one reservation per step and try. */
  step: string;
  attempt: number;
  model: string;
  inputTokens: number;
  maxOutputTokens: number;
};

export type UsedTokens = { inputTokens: number; outputTokens: number };

export type SpendingDecision =
  /** Go on, with `model`: the one planned, or the cheaper one the policy names. `reservation` goes into the step's checkpoint. */
  | { decision: 'granted'; model: string; reservation: string }
  /** A person has to raise the cap: the run waits without a worker. */
  | { decision: 'pause'; cap: string }
  | { decision: 'refused'; cap: string; detail: string }
  /** The provider's rate: the run waits this long without a worker. */
  | { decision: 'later'; afterMs: number };

/** Asked before each call of a model; what it granted counts as spent until the step's checkpoint says what was used. */
export type SpendingPort = {
  reserve(call: PlannedCall): Promise<SpendingDecision>;
};
