import { matchDocuments } from '@flowstate/store';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { Pool } from 'undici';
import { dimensions } from './embeddings.ts';

/** What is asked of whom; the nth question is the nth of the list, over and over. */
export type Questions =
  /** `{n}` in a body becomes the question's number. */
  | { kind: 'http'; url: string; path: string; headers: Record<string, string>; bodies: string[]; connections: number }
  | {
      kind: 'match_documents' | 'select';
      databaseUrl: string;
      collection: string;
      vectors: number[][];
      connections: number;
    }
  | { kind: 'redis'; url: string; keys: string[] };

/** Resolves once the nth question is answered, and rejects when it is refused. */
export type Ask = (n: number) => Promise<unknown>;

export async function createQuestions(questions: Questions): Promise<Ask> {
  if (questions.kind === 'http') return overHttp(questions);
  if (questions.kind === 'redis') return ofRedis(questions);
  return ofPostgres(questions);
}

function overHttp({ url, path, headers, bodies, connections }: Extract<Questions, { kind: 'http' }>): Ask {
  const pool = new Pool(url, { connections, pipelining: 1 });
  const parts = bodies.map((body) => body.split('{n}'));
  return (n) =>
    new Promise<void>((resolve, reject) => {
      let status = 0;
      let refusal = '';
      const request = {
        method: 'POST' as const,
        path,
        headers: { ...headers, 'content-type': 'application/json' },
        body: (parts[n % parts.length] ?? []).join(String(n)),
      };
      pool.dispatch(request, {
        onRequestStart() {},
        onResponseStart(_controller, statusCode) {
          status = statusCode;
        },
        onResponseData(_controller, chunk) {
          if (status !== 200) refusal += chunk.toString();
        },
        onResponseEnd() {
          if (status === 200) resolve();
          else reject(new Error(`a search was answered ${status}: ${refusal.slice(0, 300)}`));
        },
        onResponseError(_controller, error) {
          reject(error);
        },
      });
    });
}

type OfPostgres = Extract<Questions, { kind: 'match_documents' | 'select' }>;

/** `select` is what one would write by hand, with the candidates and the iterative scan that `match_documents` has. */
function ofPostgres({ kind, databaseUrl, collection, vectors, connections }: OfPostgres): Ask {
  const sql = postgres(databaseUrl, {
    max: connections,
    connection: {
      'hnsw.ef_search': 100,
      'hnsw.iterative_scan': 'relaxed_order',
    },
  });
  const embeddingOf = (n: number) => vectors[n % vectors.length] ?? [];
  if (kind === 'match_documents') {
    const what = { threshold: -1, limit: 10, filter: {}, collections: [collection] };
    return (n) => matchDocuments(sql, { embedding: embeddingOf(n), ...what });
  }
  return (n) => sql`
    SELECT id, external_id AS "externalId", collection, title, text, metadata,
           1 - (embedding::vector(384) <=> ${`[${embeddingOf(n).join()}]`}::vector) AS similarity
    FROM documents WHERE dimensions = ${dimensions} AND collection = ${collection}
    -- As the index holds them: by any other expression it would be a scan of the table.
    ORDER BY embedding::halfvec(384) <=> ${`[${embeddingOf(n).join()}]`}::halfvec(384) LIMIT 10`;
}

async function ofRedis({ url, keys }: Extract<Questions, { kind: 'redis' }>): Promise<Ask> {
  const redis = new Redis(url, { lazyConnect: true });
  await redis.connect();
  return (n) => redis.get(keys[n % keys.length] ?? '');
}
