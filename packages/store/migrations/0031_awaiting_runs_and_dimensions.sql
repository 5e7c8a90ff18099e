-- Stored documents for whose embedding no run was accepted yet: noted with the document, ended when its run is. What a
-- gateway left here that died in between, the controller starts a run for.
CREATE TABLE documents_awaiting_run (
  document_id uuid PRIMARY KEY REFERENCES documents (id) ON DELETE CASCADE,
  principal_id uuid NOT NULL,                          -- who sent it, in whose name it is embedded
  role text NOT NULL,
  since timestamptz NOT NULL DEFAULT now()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);

-- Every dimension in use has its indexes of neighbours, not only the offline model's (0019): one for documents, one for
-- parts. Made as a dimension comes into use, since each index costs every insert and every plan a little. HNSW takes
-- halves of up to 4,000 dimensions.
CREATE FUNCTION index_dimension(dims int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  indexed text;
BEGIN
  FOREACH indexed IN ARRAY ARRAY['documents', 'document_chunks'] LOOP
    EXECUTE format(
      'CREATE INDEX IF NOT EXISTS %1$s_embedding_%2$s ON %1$s USING hnsw ((embedding::halfvec(%2$s)) halfvec_cosine_ops) '
      'WHERE dimensions = %2$s', indexed, dims);
  END LOOP;
END $$;

-- Dimensions that collections have, or get when they are embedded anew, and that have no index: the oldest first. No
-- more than eight are indexed in all, those in use before this included.
CREATE FUNCTION dimensions_to_index() RETURNS SETOF int LANGUAGE sql STABLE AS $$
  SELECT dimensions FROM (
    SELECT dimensions, created_at FROM collections
    UNION ALL
    SELECT dimensions, started_at FROM collection_reindexes
  ) used
  WHERE dimensions <= 4000 AND to_regclass('documents_embedding_' || dimensions) IS NULL
  GROUP BY dimensions ORDER BY min(created_at), dimensions
  LIMIT greatest(0, 8 - (SELECT count(*) FROM pg_class WHERE relname ~ '^documents_embedding_\d+$' AND relkind = 'i'))
$$;

-- By the controller, which owns nothing. Writers wait while an index is made: nothing for a dimension that has just come
-- into use; but whoever waits for this to have the table waits no longer than it does. Answers the dimension, if any.
CREATE FUNCTION index_next_dimension() RETURNS int LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '200ms'
AS $$
DECLARE
  dims CONSTANT int := (SELECT dimensions_to_index() LIMIT 1);
BEGIN
  IF dims IS NOT NULL THEN
    PERFORM index_dimension(dims);
  END IF;
  RETURN dims;
END $$;

-- Each search asks whether there are parts of its dimension: where there are none, among many of another.
CREATE INDEX document_chunks_dimensions ON document_chunks (dimensions);

-- As before (0019), but by the indexes that are there; the offline model's always is.
CREATE OR REPLACE FUNCTION neighbour_type(dims int, exact boolean) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN exact THEN 'vector'
              WHEN dims = 384 OR to_regclass('documents_embedding_' || dims) IS NOT NULL THEN 'halfvec'
              ELSE 'vector' END
$$;

SELECT index_dimension(dims) FROM dimensions_to_index() dims;

-- Rises when embeddings of queries from before are not to be used any more: they are kept by model and text, and a model
-- may have been exchanged under its name.
CREATE SEQUENCE query_generations;
DROP FUNCTION search_scope(uuid, text, text[]);
-- As before (0028), and the generation.
CREATE FUNCTION search_scope(subject uuid, subject_role text, wanted text[])
RETURNS TABLE (
  name text, model text, dimensions int, version bigint, access_epoch bigint, cache_ttl_seconds int,
  query_generation bigint
) LANGUAGE plpgsql STABLE
  SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
  IF wanted IS NULL THEN
    RETURN QUERY
      SELECT c.name, c.model, c.dimensions, c.version, c.access_epoch, c.cache_ttl_seconds,
             (SELECT g.last_value FROM query_generations g)
      FROM visible_collections(subject, subject_role) c ORDER BY c.name;
  ELSE
    RETURN QUERY
      SELECT c.name, c.model, c.dimensions, c.version, c.access_epoch, c.cache_ttl_seconds,
             (SELECT g.last_value FROM query_generations g)
      FROM visible_collections(subject, subject_role) c WHERE c.name = ANY (wanted) ORDER BY c.name;
  END IF;
END $$;
SELECT nextval('query_generations');                   -- the first one changes nothing that can be seen

REVOKE EXECUTE ON FUNCTION index_next_dimension() FROM PUBLIC;
DO $$
BEGIN
  GRANT SELECT, INSERT, UPDATE, DELETE ON documents_awaiting_run TO flowstate_app;
  GRANT SELECT, USAGE ON SEQUENCE query_generations TO flowstate_app;
  GRANT EXECUTE ON FUNCTION index_next_dimension() TO flowstate_app;
EXCEPTION
  WHEN undefined_object OR insufficient_privilege THEN
    RAISE WARNING 'roles are missing: services use the owner''s login';
END $$;
