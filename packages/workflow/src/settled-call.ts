import type { UsedTokens } from './spending.ts';

/** What a call of a model that was reserved really used. */
export type SettledCall = UsedTokens & { reservation: string };
