export * from './definition.ts';
export { executeRun, type Execution, type Outcome, type OwnedRun, type RunOptions } from './execute.ts';
export { declaredName } from './step.ts';
export { NonDeterminismError, StepError } from './interrupt.ts';
export type { ChunkSource } from './journal.ts';
export type { LedgerPort, RunEnding } from './ledger-port.ts';
