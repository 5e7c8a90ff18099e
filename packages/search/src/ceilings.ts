import type { SearchAnswer, SearchCeilings } from '@flowstate/contracts';

type Asked = { threshold: number; limit: number };

/**
 * What is searched by where an operator has set ceilings, and what of it differs from what was asked. It is no error to
 * ask for more: under load everybody shall get less, not nothing.
 */
export function clamp(asked: Asked, ceilings: SearchCeilings | undefined): Asked & Pick<SearchAnswer, 'clamped'> {
  const threshold = Math.max(asked.threshold, ceilings?.minSearchThreshold ?? -1);
  const limit = Math.min(asked.limit, ceilings?.maxSearchLimit ?? Infinity);
  const clamped = {
    ...(threshold !== asked.threshold && { threshold }),
    ...(limit !== asked.limit && { limit }),
  };
  return { threshold, limit, ...(Object.keys(clamped).length > 0 && { clamped }) };
}
