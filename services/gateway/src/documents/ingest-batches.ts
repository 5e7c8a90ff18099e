import type { UpsertedDocument } from '@flowstate/store';
import { ingestRunSize } from './start-ingest.ts';

/** Starts runs for the documents and answers their ids. */
type Start = (documents: UpsertedDocument[]) => Promise<string[]>;

export type IngestBatches = {
  /** Takes what was stored; answers the runs that were started now. */
  add: Start;
  /** Starts what still waits. */
  end(): Promise<string[]>;
};

/** A trickle of documents must not wait for a full run before it can be found. */
const longestWaitMs = 5_000;

/** Gathers stored documents that lack their embedding, so that an import has few runs, each of many of them. */
export function createIngestBatches(start: Start): IngestBatches {
  let waiting: UpsertedDocument[] = [];
  let since = 0;

  async function startAll(): Promise<string[]> {
    const runs: string[] = [];
    while (waiting.length > 0) runs.push(...(await start(waiting.splice(0, ingestRunSize))));
    return runs;
  }

  return {
    async add(documents) {
      if (waiting.length === 0) since = performance.now();
      waiting.push(...documents.filter((document) => !document.embedded));
      if (performance.now() - since >= longestWaitMs) return startAll();
      return waiting.length >= ingestRunSize ? start(waiting.splice(0, ingestRunSize)) : [];
    },
    end: startAll,
  };
}
