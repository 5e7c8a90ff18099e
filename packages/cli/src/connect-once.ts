import { connect, gatewayUrl, type ConnectionOptions } from './connection.ts';
import { GatewayAway } from './gateway-client.ts';
import type { Terminal } from './terminal.ts';

type Options = ConnectionOptions & { direct?: boolean };
type Logged = { terminal: Terminal; options: Options; close(): Promise<void> };

/**
 * Logs in for everything that is done with the terminal it answers, here and in commands that are started. A gateway
 * that is away is said and no failure: whoever asks it next hears the same. A refused login is one.
 */
export async function connectOnce(given: Options, terminal: Terminal): Promise<Logged> {
  // What names a login on the command line has been used then, and would mean another one.
  const { email: _email, passwordFile: _passwordFile, ...options } = given;
  const env = { ...terminal.env, FLOWSTATE_URL: (await gatewayUrl(given, terminal)).href };
  const without = { terminal: { ...terminal, env }, options, close: async () => {} };
  if (given.direct) return without;
  const client = await connect(given, terminal);
  try {
    const token = await client.token();
    return { terminal: { ...terminal, env: { ...env, FLOWSTATE_TOKEN: token } }, options, close: () => client.close() };
  } catch (error) {
    if (!(error instanceof GatewayAway)) throw error;
    terminal.stderr.write(`${error.message}\n`);
    return without;
  }
}
