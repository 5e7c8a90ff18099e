import type { Usage, UsageQuery } from '@flowstate/contracts';
import type { Db } from '../client.ts';

export type UsageLine = Omit<Usage, 'costUsd' | 'reservedUsd'> & { microUsd: number; reservedMicroUsd: number };

type Filter = Pick<UsageQuery, 'by' | 'principalId' | 'workflow' | 'model' | 'runId' | 'from' | 'to'>;

/**
 * What calls of models used, summed by one thing, at most `limit` lines after the key `after`: days and runs newest
 * first, the others by name. Figures by run come from the calls themselves, which go with their run; all others are
 * kept for good.
 */
export async function readUsage(
  db: Db,
  {
    by,
    principalId,
    workflow,
    model,
    runId,
    from,
    to,
    after,
    limit,
  }: Filter & { after?: string | undefined; limit: number },
): Promise<UsageLine[]> {
  const newestFirst = by === 'day' || by === 'run';
  const key = {
    day: db`u.day`,
    principal: db`u.principal_id`,
    workflow: db`u.workflow COLLATE "C"`,
    model: db`u.model COLLATE "C"`,
    run: db`u.run_id`,
  }[by];
  return db<UsageLine[]>`
    SELECT ${by === 'day' ? db`to_char(u.day, 'YYYY-MM-DD')` : db`${key}::text`} AS key, sum(calls) AS calls, sum(input_tokens) AS "inputTokens",
           sum(output_tokens) AS "outputTokens", sum(micro_usd) AS "microUsd", sum(unpriced_calls) AS "unpricedCalls",
           sum(unsettled_calls) AS "unsettledCalls", sum(reserved_tokens) AS "reservedTokens",
           sum(reserved_micro_usd) AS "reservedMicroUsd"
    FROM ${by === 'run' || runId !== undefined ? singleCalls(db) : db`model_usage`} u
    WHERE true
      ${principalId === undefined ? db`` : db`AND u.principal_id = ${principalId}`}
      ${workflow === undefined ? db`` : db`AND u.workflow = ${workflow}`}
      ${model === undefined ? db`` : db`AND u.model = ${model}`}
      ${runId === undefined ? db`` : db`AND u.run_id = ${runId}`}
      ${from === undefined ? db`` : db`AND u.day >= ${from}::date`}
      ${to === undefined ? db`` : db`AND u.day <= ${to}::date`}
      ${after === undefined ? db`` : newestFirst ? db`AND ${key} < ${after}` : db`AND ${key} > ${after}`}
    GROUP BY ${key} ORDER BY ${key} ${newestFirst ? db`DESC` : db``} LIMIT ${limit}`;
}

/** The calls in the form of `model_usage`. */
function singleCalls(db: Db) {
  return db`(
    SELECT run_id, day, principal_id, workflow, model, 1 AS calls, (settled_at IS NULL)::int AS unsettled_calls,
           (input_price IS NULL)::int AS unpriced_calls, coalesce(input_tokens, 0) AS input_tokens,
           coalesce(output_tokens, 0) AS output_tokens, coalesce(micro_usd, 0) AS micro_usd,
           CASE WHEN settled_at IS NULL THEN reserved_tokens ELSE 0 END AS reserved_tokens,
           CASE WHEN settled_at IS NULL THEN coalesce(reserved_micro_usd, 0) ELSE 0 END AS reserved_micro_usd
    FROM model_calls
  )`;
}
