import postgres from 'postgres';
import { outputOf, runStep, stepNames, type StepResult } from './payload.ts';
import { createWorker } from './worker.ts';

/** As many connections as runs in hand, up to what two cores can keep busy. */
const sql = postgres(process.env['DATABASE_URL'] ?? '', { max: Math.min(32, Number(process.env['CONCURRENCY'])) });

createWorker<{ id: string; input: { text: string } }, { ok: true }>(
  async ({ data: { id, input } }) => {
    const results: StepResult[] = [];
    for (const [step, name] of stepNames.entries()) {
      const result = await runStep(step, input.text);
      await sql`INSERT INTO written_steps (run_id, step, name, output) VALUES (${id}, ${step}, ${name}, ${JSON.stringify(result)})`;
      results.push(result);
    }
    const output = JSON.stringify(outputOf(results));
    await sql`UPDATE written_runs SET state = 'completed', output = ${output}, finished_at = now() WHERE id = ${id}`;
    return { ok: true };
  },
  () => sql.end(),
);
