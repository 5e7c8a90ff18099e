import { FlowstateError } from '@flowstate/contracts';
import { CommandError } from './terminal.ts';

/** Does work straight on the stores; what they refuse is one clear line, as from the gateway. */
export async function onStores<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof CommandError) throw error;
    if (error instanceof FlowstateError) throw new CommandError(error.message);
    const { message, code } = error as Error & { code?: string };
    throw new CommandError(`The stores cannot be used (DATABASE_URL, REDIS_URL): ${message || code}`);
  }
}
