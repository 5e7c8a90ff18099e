import { createSql, explainNearest } from '@flowstate/store';
import { setting } from '../connection.ts';
import type { Terminal } from '../terminal.ts';

/** In one line, how Postgres would go about `match_documents` now; needs DATABASE_URL. */
export async function searchPlans(terminal: Terminal): Promise<string> {
  const url = await setting(terminal, 'DATABASE_URL');
  if (url === undefined) return 'its plan needs DATABASE_URL';
  const sql = createSql(url, { name: 'flowstate-cli', max: 1 });
  try {
    const { plan, indexes } = await explainNearest(sql);
    const has = indexes.length === 0 ? 'THERE IS NO INDEX on embeddings' : `indexes: ${indexes.join(', ')}`;
    return `plan: ${plan.join(' ← ') || 'no documents'}; ${has}`;
  } catch (error) {
    return `its plan cannot be had: ${(error as Error).message}`;
  } finally {
    await sql.end({ timeout: 1 });
  }
}
