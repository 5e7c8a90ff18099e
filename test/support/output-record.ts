import { appendFileSync } from 'node:fs';
import { join } from 'node:path';

// What services under test print, and the secrets they were given: `npm test` holds the one against the other at its
// end (`leaks.ts`). Synchronous, so that nothing is missing when a test file ends.

/** Set by the test runner. */
const folder = process.env.FLOWSTATE_TEST_OUTPUT;
/** Shorter ones stand in text by chance. */
const shortestSecret = 16;

/** One line of a service's output. */
export function recordOutput(service: string, line: string): void {
  if (folder) appendFileSync(join(folder, `${process.pid}.out`), `${service} ${line}\n`);
}

/** What of a service's environment nobody may read in its output. */
export function recordSecrets(env: Record<string, string>): void {
  if (!folder) return;
  const secrets = Object.entries(env)
    .flatMap(([name, value]) => secretsIn(name, value).map((secret) => ({ name, secret })))
    .filter(({ secret }) => secret.length >= shortestSecret);
  for (const each of secrets) appendFileSync(join(folder, `${process.pid}.secrets`), `${JSON.stringify(each)}\n`);
}

function secretsIn(name: string, value: string): string[] {
  if (/(SECRETS?|PASSWORD|TOKEN|API_KEY)$/.test(name)) return value.split(',').map((secret) => secret.trim());
  if (name.endsWith('_URL') && URL.canParse(value)) return [decodeURIComponent(new URL(value).password)];
  return [];
}
