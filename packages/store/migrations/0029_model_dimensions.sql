-- Embeddings of one model are compared across collections, so it has one dimension in all of them: a collection that
-- says otherwise would be in the way of whoever searches them together.

CREATE TABLE embedding_models (
  model text PRIMARY KEY,
  dimensions int NOT NULL CHECK (dimensions BETWEEN 1 AND 16000),
  UNIQUE (model, dimensions)
);

-- Where collections of before disagree, what most of them say holds, else the oldest.
INSERT INTO embedding_models (model, dimensions)
SELECT DISTINCT ON (model) model, dimensions
FROM (
  SELECT model, dimensions, count(*) AS collections, min(number) AS first
  FROM collections WHERE model IS NOT NULL GROUP BY model, dimensions
) said
ORDER BY model, collections DESC, first;

-- NOT VALID: those that disagree stay as they are, until somebody reindexes or deletes them.
ALTER TABLE collections ADD CONSTRAINT collections_model_dimensions
  FOREIGN KEY (model, dimensions) REFERENCES embedding_models (model, dimensions) NOT VALID;

-- The dimension of a model; null while no collection holds embeddings of it. Until the transaction ends nobody else
-- gives a collection this model.
CREATE FUNCTION lock_model_dimensions(asked text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('embedding model'), hashtext(asked));
  RETURN (
    SELECT m.dimensions FROM embedding_models m
    WHERE m.model = asked
      AND EXISTS (SELECT FROM collections c WHERE (c.model, c.dimensions) = (m.model, m.dimensions)));
END $$;

-- The first collection of a model says what its dimension is, also when those of before are gone.
CREATE FUNCTION collection_model_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.model IS NOT NULL AND lock_model_dimensions(NEW.model) IS NULL THEN
    INSERT INTO embedding_models (model, dimensions) VALUES (NEW.model, NEW.dimensions)
    ON CONFLICT (model) DO UPDATE SET dimensions = excluded.dimensions;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER collection_model_fixed BEFORE INSERT OR UPDATE OF model, dimensions ON collections
  FOR EACH ROW EXECUTE FUNCTION collection_model_fixed();

DO $$
BEGIN
  GRANT SELECT, INSERT, UPDATE ON embedding_models TO flowstate_app;
EXCEPTION
  WHEN undefined_object OR insufficient_privilege THEN
    RAISE WARNING 'roles are missing: services use the owner''s login';
END $$;
