import type { LanguageModel, Role, RunProgress } from '@flowstate/contracts';
import type { Backend } from './backend.ts';
import type { WorkflowContext } from './definition.ts';
import type { SpendingPort } from './spending.ts';
import type { WaitFor } from './waits.ts';

/** What a conversation with a language model stands on: one scope of one run. */
export type Conversation = {
  runId: string;
  workflow: string;
  /** Of whoever started the run. */
  role: Role;
  /** Null: none is configured here. */
  model: LanguageModel | null;
  spending: SpendingPort | undefined;
  backend: Backend;
  /** Before every name in this scope. */
  prefix: string;
  step: WorkflowContext['step'];
  /** Waits, on record; the name without the prefix. */
  wait(what: WaitFor): Promise<unknown>;
  /** A value that stays what it was when it was first computed. */
  recorded<T>(name: string, compute: () => T): T;
  progress(data: RunProgress['data']): void;
};
