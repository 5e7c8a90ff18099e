-- As before (0031), but with both tables at once before anything is built. It made documents' index, for seconds where many
-- had been embedded by then, and waited for the other table while it held that one: writers of parts, who then want
-- documents, stood in the way, were undone as deadlocked or had it give up, and what was built was lost. A writer is never
-- undone for it, since it gives up sooner than Postgres looks for deadlocks (a second): both waits together are shorter.
CREATE OR REPLACE FUNCTION index_next_dimension() RETURNS int LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '400ms'
AS $$
DECLARE
  dims CONSTANT int := (SELECT dimensions_to_index() LIMIT 1);
BEGIN
  IF dims IS NOT NULL THEN
    LOCK TABLE document_chunks, documents IN SHARE MODE;  -- in the order of those who embed
    PERFORM index_dimension(dims);
  END IF;
  RETURN dims;
END $$;

-- Eight dimensions of embeddings have indexes (0031). Where a ninth waits for one, that of a dimension which no collection
-- has any more makes room; until then it stays, since such a collection may come again, and costs little.

-- By the controller. Answers the dimension, if any; null, too, where somebody is always at the documents: later, then. The
-- lock that dropping takes is never waited for: everybody else would stand in line behind. The offline model's index
-- stays: `neighbour_type` relies on it.
CREATE FUNCTION drop_unused_dimension() RETURNS int LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
  dims int;
BEGIN
  IF EXISTS (SELECT dimensions_to_index()) OR NOT EXISTS (
    SELECT FROM (SELECT dimensions FROM collections UNION ALL SELECT dimensions FROM collection_reindexes) used
    WHERE dimensions <= 4000 AND to_regclass('documents_embedding_' || dimensions) IS NULL
  ) THEN
    RETURN NULL;
  END IF;
  FOR attempt IN 1..50 LOOP
    BEGIN
      LOCK TABLE documents, document_chunks IN ACCESS EXCLUSIVE MODE NOWAIT;
      -- Asked only now. A collection that is about to get this dimension has its index made anew.
      dims := (
        SELECT min(indexed) FROM (
          SELECT substring(relname FROM '\d+$')::int AS indexed FROM pg_class
          WHERE relname ~ '^documents_embedding_\d+$' AND relkind = 'i'
          EXCEPT SELECT 384
          EXCEPT SELECT dimensions FROM collections
          EXCEPT SELECT dimensions FROM collection_reindexes
        ) unused);
      IF dims IS NOT NULL THEN
        EXECUTE format('DROP INDEX documents_embedding_%1$s, document_chunks_embedding_%1$s', dims);
      END IF;
      RETURN dims;
    EXCEPTION WHEN lock_not_available THEN
      PERFORM pg_sleep(0.01);
    END;
  END LOOP;
  RETURN NULL;
END $$;

REVOKE EXECUTE ON FUNCTION drop_unused_dimension() FROM PUBLIC;
DO $$
BEGIN
  GRANT EXECUTE ON FUNCTION drop_unused_dimension() TO flowstate_app;
EXCEPTION
  WHEN undefined_object OR insufficient_privilege THEN
    RAISE WARNING 'roles are missing: services use the owner''s login';
END $$;
