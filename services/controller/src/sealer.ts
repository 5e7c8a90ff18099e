import type { Logger } from '@flowstate/runtime';
import { readChainHead, sealAudit, type ChainHead, type Sql } from '@flowstate/store';

type Options = {
  sql: Sql;
  log: Logger;
  onHead: (head: ChainHead) => void;
  /** The head goes to the log so often, while it moves. */
  logEveryMs?: number;
};

/**
 * Seals the audit log's new entries into its hash chain. The head in a log line, carried away by a sink, is what later
 * shows a chain that somebody made anew as a whole: `flowstate audit verify --head <hash>`.
 */
export function createSealer({ sql, log, onHead, logEveryMs = 60_000 }: Options) {
  let logged: { head: string; at: number } | undefined;
  let head: ChainHead | null = null;

  return async function seal(): Promise<boolean> {
    const sealed = await sealAudit(sql);
    head = sealed ?? head ?? (await readChainHead(sql));
    if (head === null) return false;
    onHead(head);
    const now = performance.now();
    if (head.hash !== logged?.head && now - (logged?.at ?? -logEveryMs) >= logEveryMs) {
      log.info({ seal: head.number, hash: head.hash, entries: head.total }, 'audit chain head');
      logged = { head: head.hash, at: now };
    }
    return false;
  };
}
