-- Collections with owners: shared with everybody who may search, or private to their owner and those granted access.

-- Versions and access epochs of all collections come from one sequence: a collection deleted and made again never
-- has a version of before, so no cache key of before.
CREATE SEQUENCE collection_changes;

ALTER TABLE collections
  ADD COLUMN owner_id uuid REFERENCES users,           -- null: came into being with its first document
  ADD COLUMN visibility text NOT NULL DEFAULT 'shared' CHECK (visibility IN ('shared', 'private')),
  ADD COLUMN number bigint UNIQUE,                     -- in the order in which they came into being
  ADD COLUMN access_epoch bigint,                      -- rises with every change of who sees it; part of cache keys
  ADD COLUMN cache_ttl_seconds int CHECK (cache_ttl_seconds BETWEEN 1 AND 86400), -- null: as configured
  ADD CHECK (visibility = 'shared' OR owner_id IS NOT NULL);
SELECT setval('collection_changes', 1 + coalesce(max(version), 0) + count(*)) FROM collections;
UPDATE collections c SET access_epoch = nextval('collection_changes'), number = o.number
  FROM (SELECT name, row_number() OVER (ORDER BY created_at, name) AS number FROM collections) o WHERE o.name = c.name;
ALTER TABLE collections
  ALTER COLUMN version SET DEFAULT nextval('collection_changes'),
  ALTER COLUMN number SET DEFAULT nextval('collection_changes'),
  ALTER COLUMN number SET NOT NULL,
  ALTER COLUMN access_epoch SET DEFAULT nextval('collection_changes'),
  ALTER COLUMN access_epoch SET NOT NULL;

-- Who sees a private collection besides its owner. What they may do there follows from their role, as elsewhere.
CREATE TABLE collection_grants (
  collection text NOT NULL REFERENCES collections (name) ON DELETE CASCADE,
  user_id uuid REFERENCES users ON DELETE CASCADE,
  role text CHECK (role IN ('admin', 'manager', 'analyst', 'agent', 'integration', 'service')),
  granted_by uuid REFERENCES users ON DELETE SET NULL,
  granted_at timestamptz NOT NULL DEFAULT now(),
  CHECK (num_nonnulls(user_id, role) = 1),
  UNIQUE NULLS NOT DISTINCT (collection, user_id, role)
);

CREATE OR REPLACE FUNCTION bump_collections(changed text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM collections WHERE name = ANY (changed) ORDER BY name FOR NO KEY UPDATE;
  UPDATE collections SET version = nextval('collection_changes') WHERE name = ANY (changed);
END $$;

-- Whoever changes access, and by whatever way, makes cached answers of before unreachable.
CREATE FUNCTION collection_grants_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  changed CONSTANT text[] := array(SELECT DISTINCT collection FROM changed_rows);
BEGIN
  PERFORM FROM collections WHERE name = ANY (changed) ORDER BY name FOR NO KEY UPDATE;
  UPDATE collections SET access_epoch = nextval('collection_changes') WHERE name = ANY (changed);
  RETURN NULL;
END $$;
CREATE TRIGGER collection_grants_added AFTER INSERT ON collection_grants REFERENCING NEW TABLE AS changed_rows
  FOR EACH STATEMENT EXECUTE FUNCTION collection_grants_changed();
CREATE TRIGGER collection_grants_removed AFTER DELETE ON collection_grants REFERENCING OLD TABLE AS changed_rows
  FOR EACH STATEMENT EXECUTE FUNCTION collection_grants_changed();

CREATE FUNCTION collection_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.owner_id, NEW.visibility) IS DISTINCT FROM (OLD.owner_id, OLD.visibility) THEN
    NEW.access_epoch := nextval('collection_changes');
  END IF;
  -- Answers cached for longer than they now may be are out of reach.
  IF NEW.cache_ttl_seconds IS DISTINCT FROM OLD.cache_ttl_seconds THEN
    NEW.version := nextval('collection_changes');
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER collection_changed BEFORE UPDATE OF owner_id, visibility, cache_ttl_seconds ON collections
  FOR EACH ROW EXECUTE FUNCTION collection_changed();

-- The collections a principal sees: the one place that says who sees what. Nobody in particular (nulls) sees those
-- that are shared. No role sees a private one by itself; an administrator can grant access, which is audited.
CREATE FUNCTION visible_collections(subject uuid, subject_role text) RETURNS SETOF collections LANGUAGE sql STABLE AS $$
  SELECT c.* FROM collections c
  WHERE c.visibility = 'shared' OR c.owner_id = subject OR EXISTS (
    SELECT FROM collection_grants g
    WHERE g.collection = c.name AND (g.user_id = subject OR g.role = subject_role))
$$;

-- What a query may read: the wanted collections (null: all) that the principal sees, embedded by that model (null: by
-- any). For use within the query itself. A wanted one that is not among them is an error and not left out: the caller
-- has chosen by what it saw a moment ago, and an answer from less would be cached, and given to others, as the whole.
CREATE FUNCTION searchable_collections(subject uuid, subject_role text, wanted text[], by_model text DEFAULT NULL)
RETURNS text[] LANGUAGE plpgsql STABLE AS $$
DECLARE
  found CONSTANT text[] := array(
    SELECT name FROM visible_collections(subject, subject_role)
    WHERE (wanted IS NULL OR name = ANY (wanted)) AND (by_model IS NULL OR model = by_model));
BEGIN
  IF NOT found @> wanted THEN
    RAISE EXCEPTION 'what may be searched has changed' USING ERRCODE = 'FS001';
  END IF;
  RETURN found;
END $$;

-- As before (0016), within what the principal may search (`searchable_collections`).
DROP FUNCTION match_documents(vector, float8, int, jsonb, text[]);
CREATE FUNCTION match_documents(
  query_embedding vector,
  match_threshold float8,
  match_count int,
  filter jsonb DEFAULT '{}',
  in_collections text[] DEFAULT NULL,
  subject uuid DEFAULT NULL,
  subject_role text DEFAULT NULL,
  by_model text DEFAULT NULL
) RETURNS TABLE (
  id uuid, external_id text, collection text, title text, text text, metadata jsonb, similarity float8
) LANGUAGE plpgsql STABLE
  SET hnsw.iterative_scan = relaxed_order
  SET hnsw.ef_search = 100
AS $$
DECLARE
  dims CONSTANT int := vector_dims(query_embedding);
  -- As an array, so that the planner sees its size.
  names CONSTANT text[] := searchable_collections(subject, subject_role, in_collections, by_model);
  narrowed CONSTANT text := 'AND d.collection = ANY ($5)'
    || CASE WHEN filter <> '{}' THEN ' AND d.metadata @> $4' ELSE '' END;
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
      USING query_embedding, bound, match_threshold, filter, names;
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
  USING query_embedding, greatest(match_count, 0), match_threshold, filter, names, parts;
END $$;

DO $$
BEGIN
  GRANT SELECT, INSERT, UPDATE, DELETE ON collection_grants TO flowstate_app;
  GRANT USAGE ON SEQUENCE collection_changes TO flowstate_app;
EXCEPTION
  WHEN undefined_object OR insufficient_privilege THEN
    RAISE WARNING 'roles are missing: services use the owner''s login';
END $$;
