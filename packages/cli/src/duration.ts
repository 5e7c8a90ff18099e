import { toNumber } from './json-input.ts';
import { CommandError, exitCodes } from './terminal.ts';

const units = { s: 1, m: 60, h: 3600, d: 24 * 3600 } as const;

/** Seconds of a time such as `90s`, `15m`, `4h` or `2d`; throws `CommandError` naming the option. */
export function readDuration(text: string, option: string): number {
  const [, count, unit] = /^(\d+)([smhd])$/.exec(text) ?? [];
  if (count === undefined || unit === undefined) {
    throw new CommandError(`${option} must be a time such as 90s, 15m, 4h or 2d`, exitCodes.usage);
  }
  return Number(toNumber(count)) * units[unit as keyof typeof units];
}
