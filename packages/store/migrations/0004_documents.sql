-- Documents: text, metadata and an embedding each, in collections that are searched and cached together.

CREATE TABLE collections (
  name text PRIMARY KEY,
  model text,                                        -- of its embeddings, fixed by the first one stored: never mixed
  dimensions int CHECK (dimensions BETWEEN 1 AND 16000),
  version bigint NOT NULL DEFAULT 1,                 -- rises with every write to its documents; part of cache keys
  created_at timestamptz NOT NULL DEFAULT now(),
  CHECK ((model IS NULL) = (dimensions IS NULL))
) WITH (fillfactor = 50);

CREATE TABLE documents (
  id uuid PRIMARY KEY,
  external_id text,
  collection text NOT NULL REFERENCES collections (name),
  title text,
  text text NOT NULL,
  metadata jsonb NOT NULL DEFAULT '{}',
  content_hash text NOT NULL,                        -- of title and text: what the embedding is made from
  embedding vector,                                  -- null until computed, and again when the content changes
  -- A column rather than vector_dims(embedding) in each query, since only columns have statistics: the planner would
  -- take 0.5 % of the rows to match and turn to a sequential scan.
  dimensions int GENERATED ALWAYS AS (vector_dims(embedding)) STORED,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (collection, external_id)
);

-- A long text moves out of the row before the embedding does, which every exact scan reads.
ALTER TABLE documents ALTER COLUMN embedding SET STORAGE MAIN;

-- HNSW needs a fixed dimension while collections may use different models: hence an untyped column and one partial
-- index per dimension in use. 384 is the offline model's; vectors of another dimension are scanned exactly until an
-- index of this shape is made for them.
CREATE INDEX documents_embedding_384 ON documents USING hnsw ((embedding::vector(384)) vector_cosine_ops)
  WHERE dimensions = 384;
CREATE INDEX documents_metadata ON documents USING gin (metadata jsonb_path_ops);
CREATE INDEX documents_external_id ON documents (external_id);

-- Whoever writes documents, and by whatever way, makes cached answers of before unreachable. At the end of the
-- statement, so that writers of one collection wait for each other's commit only; in name order, against deadlocks.
CREATE FUNCTION bump_collections(changed text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM collections WHERE name = ANY (changed) ORDER BY name FOR NO KEY UPDATE;
  UPDATE collections SET version = version + 1 WHERE name = ANY (changed);
END $$;

CREATE FUNCTION documents_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM bump_collections(array(SELECT DISTINCT collection FROM new_rows));
  RETURN NULL;
END $$;
CREATE FUNCTION documents_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM bump_collections(array(SELECT collection FROM new_rows UNION SELECT collection FROM old_rows));
  RETURN NULL;
END $$;
CREATE FUNCTION documents_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM bump_collections(array(SELECT DISTINCT collection FROM old_rows));
  RETURN NULL;
END $$;

CREATE TRIGGER documents_inserted AFTER INSERT ON documents REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION documents_inserted();
CREATE TRIGGER documents_updated AFTER UPDATE ON documents REFERENCING NEW TABLE AS new_rows OLD TABLE AS old_rows
  FOR EACH STATEMENT EXECUTE FUNCTION documents_updated();
CREATE TRIGGER documents_deleted AFTER DELETE ON documents REFERENCING OLD TABLE AS old_rows
  FOR EACH STATEMENT EXECUTE FUNCTION documents_deleted();

-- The match_count documents nearest to query_embedding by cosine similarity (-1 to 1, nearest first), those below
-- match_threshold left out; `filter` must be contained in their metadata, in_collections NULL means all.
-- The text is put together per call because the index expression names the dimension, and so that the planner sees
-- the filter's values: it takes the metadata index for rare ones, HNSW for common ones, and reads a small table (some
-- 3,000 rows, a few milliseconds) as a whole. With an iterative scan HNSW goes on until enough rows pass the filter;
-- the threshold is applied outside, where it cannot keep a scan going in vain. Relaxed order keeps candidates that
-- strict order throws away, so the few rows left are sorted again (`+ 0`: Postgres 17 would believe they are sorted).
-- ef_search, the candidates HNSW keeps, bounds recall and must be well above match_count.
CREATE FUNCTION match_documents(
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
BEGIN
  IF match_count > 50 THEN
    PERFORM set_config('hnsw.ef_search', least(match_count * 2, 1000)::text, true);  -- until this function ends
  END IF;
  RETURN QUERY EXECUTE format($query$
    WITH nearest AS MATERIALIZED (
      SELECT d.id, d.external_id, d.collection, d.title, d.text, d.metadata,
             d.embedding::vector(%1$s) <=> $1 AS distance
      FROM documents d
      WHERE d.dimensions = %1$s %2$s %3$s
      ORDER BY d.embedding::vector(%1$s) <=> $1
      LIMIT $2
    )
    SELECT n.id, n.external_id, n.collection, n.title, n.text, n.metadata, 1 - n.distance
    FROM nearest n
    WHERE 1 - n.distance >= $3
    ORDER BY n.distance + 0, n.id
    $query$,
    vector_dims(query_embedding),
    CASE WHEN filter <> '{}' THEN 'AND d.metadata @> $4' ELSE '' END,
    CASE WHEN in_collections IS NOT NULL THEN 'AND d.collection = ANY ($5)' ELSE '' END)
  USING query_embedding, greatest(match_count, 0), match_threshold, filter, in_collections;
END $$;
