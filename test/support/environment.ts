/** A variable the test runner sets; a test file started by hand needs it too. */
export function requiredEnv(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run \`npm test -- path/to/file.test.ts\``);
  return value;
}
