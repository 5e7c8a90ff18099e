import { budgetSignal, type Delivery } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { deliveryColumns, mayDeliver, wakeUp } from '../ledger/deliveries.ts';
import { tellRetried } from '../ledger/endings.ts';

/**
 * Tells the runs that wait for a budget, the longest first, as far as there is room for what they need: it was raised or
 * taken back, its day or month is over, or others used less than they had reserved. They ask again, and wait on when
 * somebody was faster. Answers what the caller must deliver once this is committed.
 */
export async function resumePausedRuns(db: Db, limit: number): Promise<Delivery[]> {
  const rows = await db<{ delivery: Delivery | null; over: string | null }[]>`
    WITH in_line AS (
      SELECT p.*, sum(p.need_tokens) OVER line AS tokens, sum(p.need_micro_usd) OVER line AS micro_usd FROM budget_pauses p
      WINDOW line AS (PARTITION BY p.level, p.subject, p.period ORDER BY p.at, p.run_id)
    ),
    roomy AS (
      SELECT p.run_id FROM in_line p
      LEFT JOIN run_live l ON l.id = p.run_id
      LEFT JOIN model_spending s ON s.level = p.level AND s.subject = p.subject
      LEFT JOIN LATERAL (SELECT * FROM budgets_of(p.level, p.subject) b WHERE b.period = p.period) b ON true
      CROSS JOIN (SELECT (now() AT TIME ZONE 'GMT')::date AS today) t
      WHERE l.id IS NULL OR b.level IS NULL
        OR (coalesce(spent_tokens(s, p.period, t.today) + p.tokens <= b.max_tokens, true)
            AND coalesce(spent_micro_usd(s, p.period, t.today) + p.micro_usd <= b.max_micro_usd, true))
      ORDER BY p.at LIMIT ${limit}
    ),
    -- What others have locked at this moment has its turn next time: this holds much and must wait for nobody.
    took AS (SELECT run_id FROM budget_pauses WHERE run_id IN (SELECT run_id FROM roomy) FOR UPDATE SKIP LOCKED),
    old AS (SELECT id, state FROM run_live WHERE id = ANY(ARRAY(SELECT run_id FROM took)) FOR UPDATE SKIP LOCKED),
    told AS (
      DELETE FROM budget_pauses p USING took t WHERE p.run_id = t.run_id
        AND (p.run_id IN (SELECT id FROM old) OR NOT EXISTS (SELECT FROM run_live l WHERE l.id = p.run_id))
      RETURNING p.run_id
    ),
    -- One that is over may be retried, and nobody would tell it then.
    sent AS (
      INSERT INTO run_inbox (run_id, kind, name, data)
      SELECT run_id, 'signal', ${budgetSignal}, 'null' FROM told WHERE EXISTS (SELECT FROM runs r WHERE r.id = run_id)
    ),
    woken AS (
      UPDATE run_live l SET ${wakeUp(db)} FROM old WHERE l.id = old.id AND l.id = ANY(ARRAY(SELECT id FROM old))
      RETURNING ${deliveryColumns(db, 'l')}, ${mayDeliver(db)} AS deliver
    )
    SELECT to_json(woken) AS delivery, NULL::uuid AS over FROM woken WHERE deliver
    UNION ALL SELECT NULL, run_id FROM told WHERE run_id NOT IN (SELECT id FROM old)`;
  const over = rows.flatMap((row) => row.over ?? []);
  return [...rows.flatMap(({ delivery }) => delivery ?? []), ...(await tellRetried(db, over))];
}
