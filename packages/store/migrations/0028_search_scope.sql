-- What a search reads first, thousands of times a second: planning it anew each time is most of its cost, and the plan is
-- the same whatever is asked (by name, over the primary key). Measured: 0.35 ms with a plan of its own, 0.13 ms without.
CREATE FUNCTION search_scope(subject uuid, subject_role text, wanted text[])
RETURNS TABLE (
  name text, model text, dimensions int, version bigint, access_epoch bigint, cache_ttl_seconds int
) LANGUAGE plpgsql STABLE
  SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
  IF wanted IS NULL THEN
    RETURN QUERY
      SELECT c.name, c.model, c.dimensions, c.version, c.access_epoch, c.cache_ttl_seconds
      FROM visible_collections(subject, subject_role) c ORDER BY c.name;
  ELSE
    RETURN QUERY
      SELECT c.name, c.model, c.dimensions, c.version, c.access_epoch, c.cache_ttl_seconds
      FROM visible_collections(subject, subject_role) c WHERE c.name = ANY (wanted) ORDER BY c.name;
  END IF;
END $$;

-- The same for what every query of documents checks.
ALTER FUNCTION searchable_collections SET plan_cache_mode = force_generic_plan;
