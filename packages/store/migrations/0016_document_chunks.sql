-- Long texts are embedded in parts, found by a part and answered as a document.

-- The first part's embedding stays in documents.embedding: a document of one part has no row here, and a document is
-- embedded exactly when that column is set, which happens after all its other parts are stored.
ALTER TABLE documents ADD COLUMN first_length int;     -- characters of its first part; null: the text is one part

CREATE TABLE document_chunks (
  document_id uuid NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
  index int NOT NULL CHECK (index >= 1),
  content_hash text NOT NULL,                          -- a part counts only for the content it was made from
  begin int NOT NULL CHECK (begin >= 0),               -- in characters of the text
  length int NOT NULL CHECK (length >= 1),
  embedding vector NOT NULL,
  dimensions int NOT NULL GENERATED ALWAYS AS (vector_dims(embedding)) STORED,
  PRIMARY KEY (document_id, index)
);
ALTER TABLE document_chunks ALTER COLUMN embedding SET STORAGE MAIN;
CREATE INDEX document_chunks_embedding_384 ON document_chunks USING hnsw ((embedding::vector(384)) vector_cosine_ops)
  WHERE dimensions = 384;

-- As before (0004), and the parts of long texts beside the documents' own embeddings. One document may have many near
-- parts, so the part scan is repeated with a larger bound until it has found enough documents, has seen what is below
-- the threshold, or has no more. `text` is the nearest part's.
CREATE OR REPLACE FUNCTION match_documents(
  query_embedding vector,
  match_threshold float8,
  match_count int,
  filter jsonb DEFAULT '{}',
  in_collections text[] DEFAULT NULL
) RETURNS TABLE (
  id uuid, external_id text, collection text, title text, text text, metadata jsonb, similarity float8
) LANGUAGE plpgsql STABLE
  SET hnsw.iterative_scan = relaxed_order
  SET hnsw.ef_search = 100
AS $$
DECLARE
  dims CONSTANT int := vector_dims(query_embedding);
  narrowed CONSTANT text := CASE WHEN filter <> '{}' THEN 'AND d.metadata @> $4 ' ELSE '' END
    || CASE WHEN in_collections IS NOT NULL THEN 'AND d.collection = ANY ($5)' ELSE '' END;
  max_rows CONSTANT int := 20000;                      -- hnsw.max_scan_tuples: more are not looked at anyway
  bound int := least(greatest(match_count, 0) * 4, max_rows);
  parts jsonb := '[]';
  seen int;
  farthest float8;
  documents_seen int;
BEGIN
  IF match_count > 50 THEN
    PERFORM set_config('hnsw.ef_search', least(match_count * 2, 1000)::text, true);  -- until this function ends
  END IF;

  IF bound > 0 AND EXISTS (SELECT FROM document_chunks c WHERE c.dimensions = dims) THEN
    LOOP
      EXECUTE format($query$
        WITH nearest AS MATERIALIZED (
          SELECT c.document_id, c.begin, c.length, c.embedding::vector(%1$s) <=> $1 AS distance
          FROM document_chunks c JOIN documents d ON d.id = c.document_id
          WHERE c.dimensions = %1$s AND d.content_hash = c.content_hash AND d.embedding IS NOT NULL %2$s
          ORDER BY c.embedding::vector(%1$s) <=> $1
          LIMIT $2
        ), best AS (
          SELECT DISTINCT ON (document_id) document_id, begin, length, distance
          FROM nearest ORDER BY document_id, distance + 0
        )
        SELECT (SELECT count(*) FROM nearest), (SELECT max(distance) FROM nearest), count(*),
               coalesce(jsonb_agg(to_jsonb(best)) FILTER (WHERE 1 - distance >= $3), '[]')
        FROM best
        $query$, dims, narrowed)
      INTO seen, farthest, documents_seen, parts
      USING query_embedding, bound, match_threshold, filter, in_collections;
      EXIT WHEN seen < bound OR documents_seen >= match_count OR 1 - farthest < match_threshold OR bound = max_rows;
      bound := least(bound * 4, max_rows);
    END LOOP;
  END IF;

  RETURN QUERY EXECUTE format($query$
    WITH nearest AS MATERIALIZED (
      SELECT d.id, d.first_length, d.embedding::vector(%1$s) <=> $1 AS distance
      FROM documents d
      WHERE d.dimensions = %1$s %2$s
      ORDER BY d.embedding::vector(%1$s) <=> $1
      LIMIT $2
    ), found AS (
      SELECT n.id, 0 AS begin, n.first_length AS length, n.distance FROM nearest n WHERE 1 - n.distance >= $3
      UNION ALL
      SELECT p.document_id, p.begin, p.length, p.distance
      FROM jsonb_to_recordset($6) AS p(document_id uuid, begin int, length int, distance float8)
    ), best AS (
      SELECT DISTINCT ON (f.id) f.* FROM found f ORDER BY f.id, f.distance, f.begin
    ), answer AS (
      SELECT * FROM best b ORDER BY b.distance, b.id LIMIT $2
    )
    SELECT d.id, d.external_id, d.collection, d.title,
           CASE WHEN a.length IS NULL THEN d.text ELSE substr(d.text, a.begin + 1, a.length) END,
           d.metadata, 1 - a.distance
    FROM answer a JOIN documents d ON d.id = a.id
    ORDER BY a.distance, d.id
    $query$, dims, narrowed)
  USING query_embedding, greatest(match_count, 0), match_threshold, filter, in_collections, parts;
END $$;

DO $$
BEGIN
  GRANT SELECT, INSERT, UPDATE, DELETE ON document_chunks TO flowstate_app;
EXCEPTION
  WHEN undefined_object OR insufficient_privilege THEN
    RAISE WARNING 'roles are missing: services use the owner''s login';
END $$;
