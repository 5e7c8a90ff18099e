import type { Effect, Inbox, LanguageModel, Role, RunError, RunEvent, RunProgress } from '@flowstate/contracts';
import type { Backend } from './backend.ts';
import type { Workflow } from './definition.ts';
import type { LedgerPort } from './ledger-port.ts';
import type { SpendingPort } from './spending.ts';

/** A claimed run, as the ledger gives it to its owner. */
export type OwnedRun = {
  id: string;
  /** JSON text. */
  input: string;
  /** Whose authority it runs with. */
  principalId: string;
  /** The role it had when it started the run. */
  role: Role;
  parentId: string | null;
  /** Incarnation that claimed it: the fence of everything written for it. */
  owner: number;
  /** Somebody wants it cancelled; its last owner died before it could. */
  cancelled: boolean;
  chunk: number;
  seqBase: number;
  startedAt: Date;
  resumed: boolean;
  events: RunEvent[];
  inbox: Inbox;
};

export type RunOptions = {
  run: OwnedRun;
  workflow: Workflow;
  ledger: LedgerPort;
  backend: (signal: AbortSignal) => Backend;
  /** The way to language models, where one is configured. */
  model?: LanguageModel | undefined;
  /** Asked before each call of a model. */
  spending?: SpendingPort | undefined;
  /** Recorded events after their commit, and live progress as it comes; `json` makes the same as text, when it is asked. */
  publish: (news: RunEvent[] | RunProgress, json: () => string) => void;
  onStep?: (step: { name: string; effect: Effect; seconds: number; ok: boolean }) => void;
};

export type Outcome =
  | { state: 'completed'; output: unknown }
  | { state: 'failed'; error: RunError }
  | { state: 'cancelled'; error?: RunError }
  /** Not ended here: another owner has it, it is to be given back, it sleeps, it will be tried again, or it is over. */
  | { state: 'lost' | 'draining' | 'waiting' | 'postponed' | 'over' }
  | { state: 'parked'; reason: string };

export type Execution = {
  done: Promise<Outcome>;
  cancel(): void;
  lose(): void;
  /** Something was put into the run's inbox: `inbox` is its counter now. */
  news(inbox: number): void;
  /** Stops at the next step boundary; steps under way may still end. */
  drain(): void;
  /** Stops now; a pure step under way will run again elsewhere. */
  handBack(): void;
};
