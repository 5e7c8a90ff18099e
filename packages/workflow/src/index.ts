export * from './definition.ts';
export { executeRun, type Execution, type LedgerPort, type Outcome, type OwnedRun, type RunEnding } from './execute.ts';
export { NonDeterminismError, StepError } from './interrupt.ts';
export type { ChunkSource } from './journal.ts';
