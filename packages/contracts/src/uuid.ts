/** For regular expressions. Ours are in lower case. */
export const uuidPattern = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';

const whole = new RegExp(`^${uuidPattern}$`, 'i');

/** Could it be an id of ours? Postgres takes both cases. */
export function isUuid(text: string): boolean {
  return whole.test(text);
}

/** Where a walk through ids in their order begins. */
export const lowestId = '00000000-0000-0000-0000-000000000000';
