import { isDeepStrictEqual } from 'node:util';
import type { DatasetCase } from '../dataset.ts';
import { valueAt } from '../pointer.ts';
import { gradeOf, shown, type Grade } from './grade.ts';

/** Share of the expected values that the output has, at the places the case names. */
export function gradeExact(output: unknown, { expect }: DatasetCase): Grade {
  return gradeOf(
    Object.entries(expect?.exact ?? {}).map(([pointer, wanted]) => {
      const found = valueAt(output, pointer);
      const fault = `${pointer} is ${shown(found)}, not ${shown(wanted)}`;
      return { ok: isDeepStrictEqual(found, wanted), fault };
    }),
  );
}
