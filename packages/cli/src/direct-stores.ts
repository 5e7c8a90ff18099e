import { hostname, userInfo } from 'node:os';
import type { Operator } from '@flowstate/security';
import { CommandError } from './terminal.ts';

/** Who works past the gateway, as far as this machine knows. */
export function directOperator(): Operator {
  return { id: null, details: { direct: true, operator: `${userInfo().username}@${hostname()}` } };
}

/** Does work straight on the stores; what they refuse is one clear line, as from the gateway. */
export async function onStores<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof CommandError) throw error;
    // Whoever refused has loaded it.
    const { FlowstateError } = await import('@flowstate/contracts');
    if (error instanceof FlowstateError) throw new CommandError(error.message);
    const { message, code } = error as Error & { code?: string };
    throw new CommandError(`The stores cannot be used (DATABASE_URL, REDIS_URL): ${message || code}`);
  }
}
