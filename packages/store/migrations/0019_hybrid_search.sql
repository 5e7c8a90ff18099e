-- Search by words beside search by meaning, exact searches, an index of half the size, and what an operator leaves of
-- searches.

ALTER TABLE limits
  ADD COLUMN max_search_limit int CHECK (max_search_limit BETWEEN 1 AND 100),           -- null: as the next wider scope says
  ADD COLUMN min_search_threshold float8 CHECK (min_search_threshold BETWEEN -1 AND 1); -- null: as the next wider scope says

-- English: its stemmer leaves names, codes and words of other languages as they are, and beside it the configuration
-- `simple` doubled the index without finding more on the sample knowledge base. A word of the title counts ten times
-- one of the text (ts_rank's default for A).
ALTER TABLE documents ADD COLUMN words tsvector GENERATED ALWAYS AS (
  setweight(to_tsvector('english', coalesce(title, '')), 'A') || to_tsvector('english', text)) STORED;
CREATE INDEX documents_words ON documents USING gin (words);

-- What to look for where a query asks for any of its words: `selecting` finds documents, `ranking` orders them.
-- Postgres has no index that stops after the best: whatever is found is ranked. So only words that tell documents apart
-- select, by what ANALYZE knows of them: those in less than a tenth of the documents, the rarest first, and no more of
-- them than find some 2,000 documents; where not even one does, those that have all words, if the rarest is in no more
-- than 5,000. (Both null: the words say nothing.) It finds better, too: the "common terms query" of Lucene.
CREATE FUNCTION word_queries(query text, OUT selecting tsquery, OUT ranking tsquery) LANGUAGE sql STABLE AS $$
  WITH common AS (
    SELECT word, share
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = 'words',
      unnest(s.most_common_elems::text::text[], s.most_common_elem_freqs) AS e(word, share)  -- longer by two bounds
    WHERE c.oid = 'documents'::regclass AND word IS NOT NULL
  ), asked AS (
    SELECT l.lexeme, coalesce(c.share, 0) AS share,
           ('''' || replace(replace(l.lexeme, '\', '\\'), '''', '''''') || '''')::tsquery AS word
    FROM unnest(to_tsvector('english', query)) l LEFT JOIN common c ON c.word = l.lexeme
    ORDER BY 2, 1 LIMIT 100
  ), counted AS (
    SELECT a.*, sum(a.share) OVER (ORDER BY a.share, a.lexeme) * t.documents AS found, a.share * t.documents AS own
    FROM asked a, (SELECT greatest(reltuples, 0) AS documents FROM pg_class WHERE oid = 'documents'::regclass) t
  )
  SELECT coalesce(
           string_agg(word::text, ' | ' ORDER BY share) FILTER (WHERE share < 0.1 AND found <= 2000),
           CASE WHEN min(own) <= 5000 THEN string_agg(word::text, ' & ') END)::tsquery,
         string_agg(word::text, ' | ')::tsquery
  FROM counted
$$;

-- Half the precision makes an index of little more than half the size, in which a search is no slower and finds no less
-- (packages/search/README.md#the-index-of-neighbours). What it finds is compared by the embeddings as they are.
DROP INDEX documents_embedding_384, document_chunks_embedding_384;
CREATE INDEX documents_embedding_384 ON documents USING hnsw ((embedding::halfvec(384)) halfvec_cosine_ops)
  WHERE dimensions = 384;
CREATE INDEX document_chunks_embedding_384 ON document_chunks USING hnsw ((embedding::halfvec(384)) halfvec_cosine_ops)
  WHERE dimensions = 384;

-- What a scan for neighbours orders by, and so which index it can use. Embeddings of a dimension without one are
-- compared as they are.
CREATE FUNCTION neighbour_type(dims int, exact boolean) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN dims = 384 AND NOT exact THEN 'halfvec' ELSE 'vector' END
$$;

-- As before (0017), but for three things. The index orders by rounded embeddings: a few more candidates than wanted are
-- taken from it and compared exactly. With `exact` no index for neighbours is used: whatever the filter lets through is
-- compared. And HNSW gives up after hnsw.max_scan_tuples: where it has found fewer documents than wanted, which with
-- filters that its statistics mislead may happen long before the last, the scan is repeated as an exact one. That costs
-- little, for there are few, or they have an index of their own.
DROP FUNCTION match_documents(vector, float8, int, jsonb, text[], uuid, text, text);
CREATE FUNCTION match_documents(
  query_embedding vector,
  match_threshold float8,
  match_count int,
  filter jsonb DEFAULT '{}',
  in_collections text[] DEFAULT NULL,
  subject uuid DEFAULT NULL,
  subject_role text DEFAULT NULL,
  by_model text DEFAULT NULL,
  exact boolean DEFAULT false
) RETURNS TABLE (
  id uuid, external_id text, collection text, title text, text text, metadata jsonb, similarity float8
) LANGUAGE plpgsql STABLE
  SET hnsw.iterative_scan = relaxed_order
  SET hnsw.ef_search = 100
  SET enable_indexscan = on                            -- what is set below ends with this function
AS $$
DECLARE
  dims CONSTANT int := vector_dims(query_embedding);
  -- As an array, so that the planner sees its size.
  names CONSTANT text[] := searchable_collections(subject, subject_role, in_collections, by_model);
  narrowed CONSTANT text := 'AND d.collection = ANY ($5)'
    || CASE WHEN filter <> '{}' THEN ' AND d.metadata @> $4' ELSE '' END;
  max_rows CONSTANT int := 20000;                      -- hnsw.max_scan_tuples: more are not looked at anyway
  wanted CONSTANT int := greatest(match_count, 0);
  has_parts CONSTANT boolean := EXISTS (SELECT FROM document_chunks c WHERE c.dimensions = dims);
  ordered_by text := neighbour_type(dims, exact);
  bound int := least(wanted * 4, max_rows);
  parts jsonb := '[]';
  own jsonb := '[]';
  seen int;
  farthest float8;
  documents_seen int;
BEGIN
  IF match_count > 50 THEN
    PERFORM set_config('hnsw.ef_search', least(match_count * 2, 1000)::text, true);
  END IF;
  IF exact THEN
    -- A hint, not a command; but there is always another way, and an index scan costs more than any now.
    PERFORM set_config('enable_indexscan', 'off', true);
  END IF;

  WHILE wanted > 0 LOOP
    WHILE has_parts LOOP
      EXECUTE format($query$
        WITH nearest AS MATERIALIZED (
          SELECT c.document_id, c.begin, c.length, c.embedding
          FROM document_chunks c JOIN documents d ON d.id = c.document_id
          WHERE c.dimensions = %1$s AND d.content_hash = c.content_hash AND d.embedding IS NOT NULL %2$s
          ORDER BY c.embedding::%3$s(%1$s) <=> $1::%3$s(%1$s)
          LIMIT $2
        ), compared AS MATERIALIZED (
          SELECT n.document_id, n.begin, n.length, n.embedding::vector(%1$s) <=> $1 AS distance FROM nearest n
        ), best AS (
          SELECT DISTINCT ON (document_id) document_id AS id, begin, length, distance
          FROM compared ORDER BY document_id, distance
        )
        SELECT (SELECT count(*) FROM compared), (SELECT max(distance) FROM compared), count(*),
               coalesce(jsonb_agg(to_jsonb(best)) FILTER (WHERE 1 - distance >= $3), '[]')
        FROM best
        $query$, dims, narrowed, ordered_by)
      INTO seen, farthest, documents_seen, parts
      USING query_embedding, bound, match_threshold, filter, names;
      EXIT WHEN seen < bound OR documents_seen >= wanted OR 1 - farthest < match_threshold OR bound = max_rows;
      bound := least(bound * 4, max_rows);
    END LOOP;

    EXECUTE format($query$
      WITH nearest AS MATERIALIZED (
        SELECT d.id, d.first_length, d.embedding
        FROM documents d
        WHERE d.dimensions = %1$s %2$s
        ORDER BY d.embedding::%3$s(%1$s) <=> $1::%3$s(%1$s)
        LIMIT $2
      ), compared AS (
        SELECT n.id, 0 AS begin, n.first_length AS length, n.embedding::vector(%1$s) <=> $1 AS distance FROM nearest n
      )
      SELECT count(*), coalesce(jsonb_agg(to_jsonb(compared)) FILTER (WHERE 1 - distance >= $3), '[]') FROM compared
      $query$, dims, narrowed, ordered_by)
    INTO documents_seen, own
    USING query_embedding, wanted + 10, match_threshold, filter, names;
    EXIT WHEN documents_seen >= wanted OR current_setting('enable_indexscan') = 'off';
    PERFORM set_config('enable_indexscan', 'off', true);
    ordered_by := neighbour_type(dims, true);
  END LOOP;

  RETURN QUERY
    WITH found AS (
      SELECT f.* FROM jsonb_to_recordset(own || parts) AS f(id uuid, begin int, length int, distance float8)
    ), best AS (
      SELECT DISTINCT ON (f.id) f.* FROM found f ORDER BY f.id, f.distance, f.begin
    ), answer AS (
      SELECT * FROM best b ORDER BY b.distance, b.id LIMIT wanted
    )
    SELECT d.id, d.external_id, d.collection, d.title,
           CASE WHEN a.length IS NULL THEN d.text ELSE substr(d.text, a.begin + 1, a.length) END,
           d.metadata, 1 - a.distance
    FROM answer a JOIN documents d ON d.id = a.id
    ORDER BY a.distance, d.id;
END $$;

-- The match_count documents best by meaning and words together, best first: weighted reciprocal rank fusion (Cormack,
-- Clarke and Büttcher, SIGIR 2009) of the nearest by `match_documents` and of those that rank best by the words of
-- query_text. Their constant is 60; 2 was better on the sample knowledge base at every weight, and only a small one
-- lets a low weight bring in what words alone have found. The threshold is for nearness only: a document with the right word may be far.
-- `text` is the part nearest to query_embedding, and `similarity` its own, also where words alone have found a document.
CREATE FUNCTION hybrid_documents(
  query_embedding vector,
  query_text text,
  match_threshold float8,
  match_count int,
  vector_weight float8,
  text_weight float8,
  filter jsonb DEFAULT '{}',
  in_collections text[] DEFAULT NULL,
  subject uuid DEFAULT NULL,
  subject_role text DEFAULT NULL,
  by_model text DEFAULT NULL,
  exact boolean DEFAULT false
) RETURNS TABLE (
  id uuid, external_id text, collection text, title text, text text, metadata jsonb, similarity float8,
  score float8, vector_rank int, text_rank int
) LANGUAGE plpgsql STABLE AS $$
DECLARE
  names CONSTANT text[] := searchable_collections(subject, subject_role, in_collections, by_model);
  considered CONSTANT int := CASE WHEN match_count > 0 THEN greatest(match_count * 2, 50) ELSE 0 END;
  selecting tsquery;
  ranking tsquery;
BEGIN
  IF text_weight > 0 THEN
    SELECT w.selecting, w.ranking INTO selecting, ranking FROM word_queries(query_text) w;
  END IF;
  RETURN QUERY EXECUTE format($query$
    WITH near AS MATERIALIZED (
      SELECT m.*, (row_number() OVER (ORDER BY m.similarity DESC, m.id))::int AS place
      FROM match_documents($1, $3, CASE WHEN $5 > 0 THEN $11 ELSE 0 END, $9, $10, $12, $13, $14, $15) m
    ), worded AS MATERIALIZED (
      SELECT best.id, (row_number() OVER (ORDER BY best.rank DESC, best.id))::int AS place
      FROM (
        SELECT d.id, ts_rank(d.words, $8) AS rank FROM documents d
        WHERE d.words @@ $7 AND d.dimensions = %1$s AND d.collection = ANY ($10) %2$s
        ORDER BY 2 DESC, 1 LIMIT $11
      ) best
    ), fused AS (
      SELECT coalesce(n.id, w.id) AS id, n.place AS vector_rank, w.place AS text_rank, n.text, n.similarity,
             coalesce($5 / (2 + n.place), 0) + coalesce($6 / (2 + w.place), 0) AS score
      FROM near n FULL JOIN worded w ON w.id = n.id
      ORDER BY score DESC, n.similarity DESC NULLS LAST, 1 LIMIT $4
    )
    SELECT d.id, d.external_id, d.collection, d.title,
           CASE WHEN f.text IS NOT NULL THEN f.text
                WHEN p.length IS NULL THEN d.text ELSE substr(d.text, p.begin + 1, p.length) END,
           d.metadata, coalesce(f.similarity, 1 - p.distance), f.score, f.vector_rank, f.text_rank
    FROM fused f JOIN documents d ON d.id = f.id
    LEFT JOIN LATERAL (
      SELECT 0 AS begin, d.first_length AS length, d.embedding::vector(%1$s) <=> $1 AS distance
      UNION ALL
      SELECT c.begin, c.length, c.embedding::vector(%1$s) <=> $1
      FROM document_chunks c WHERE c.document_id = d.id AND c.content_hash = d.content_hash
      ORDER BY distance LIMIT 1
    ) p ON f.vector_rank IS NULL
    ORDER BY f.score DESC, 7 DESC, d.id
    $query$,
    vector_dims(query_embedding), CASE WHEN filter <> '{}' THEN 'AND d.metadata @> $9' ELSE '' END)
  USING query_embedding, query_text, match_threshold, greatest(match_count, 0), vector_weight, text_weight,
        selecting, ranking, filter, names, considered, subject, subject_role, by_model, exact;
END $$;

-- How Postgres goes about the scans of `match_documents` (its documents, then its parts, if there are any), for whoever
-- wonders why one was slow: it plans and runs nothing. The queries must be those there.
CREATE FUNCTION match_documents_plans(
  query_embedding vector,
  match_count int,
  filter jsonb,
  in_collections text[],
  exact boolean
) RETURNS SETOF json LANGUAGE plpgsql VOLATILE -- only such a function may explain
  SET hnsw.iterative_scan = relaxed_order
  SET hnsw.ef_search = 100
  SET enable_indexscan = on
AS $$
DECLARE
  dims CONSTANT int := vector_dims(query_embedding);
  narrowed CONSTANT text := 'AND d.collection = ANY ($4)'
    || CASE WHEN filter <> '{}' THEN ' AND d.metadata @> $3' ELSE '' END;
  plan json;
BEGIN
  IF match_count > 50 THEN
    PERFORM set_config('hnsw.ef_search', least(match_count * 2, 1000)::text, true);  -- until this function ends
  END IF;
  IF exact THEN
    PERFORM set_config('enable_indexscan', 'off', true);
  END IF;
  EXECUTE format($query$
    EXPLAIN (FORMAT JSON)
    SELECT d.id, d.first_length, d.embedding
    FROM documents d
    WHERE d.dimensions = %1$s %2$s
    ORDER BY d.embedding::%3$s(%1$s) <=> $1::%3$s(%1$s)
    LIMIT $2
    $query$, dims, narrowed, neighbour_type(dims, exact))
  INTO plan USING query_embedding, match_count + 10, filter, in_collections;
  RETURN NEXT plan;
  IF EXISTS (SELECT FROM document_chunks c WHERE c.dimensions = dims) THEN
    EXECUTE format($query$
      EXPLAIN (FORMAT JSON)
      SELECT c.document_id, c.begin, c.length, c.embedding
      FROM document_chunks c JOIN documents d ON d.id = c.document_id
      WHERE c.dimensions = %1$s AND d.content_hash = c.content_hash AND d.embedding IS NOT NULL %2$s
      ORDER BY c.embedding::%3$s(%1$s) <=> $1::%3$s(%1$s)
      LIMIT $2
      $query$, dims, narrowed, neighbour_type(dims, exact))
    INTO plan USING query_embedding, match_count * 4, filter, in_collections;
    RETURN NEXT plan;
  END IF;
END $$;
