-- Embedding a collection anew by another model, beside the embeddings that answer until all the new ones are there.

CREATE TABLE collection_reindexes (
  collection text PRIMARY KEY REFERENCES collections (name) ON DELETE CASCADE,
  model text NOT NULL,                                 -- what it will be searched by
  dimensions int CHECK (dimensions BETWEEN 1 AND 16000), -- null until the first embedding
  run_id uuid,
  started_at timestamptz NOT NULL DEFAULT now()
);

-- New embeddings by part, `index` 0 last: with it a document's are complete. They count only for the content they were
-- made from, so what is written meanwhile is embedded again.
CREATE TABLE reindexed_parts (
  document_id uuid NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
  index int NOT NULL CHECK (index >= 0),
  content_hash text NOT NULL,
  begin int NOT NULL CHECK (begin >= 0),
  length int CHECK (length >= 1),                      -- null: the text is one part
  embedding vector NOT NULL,
  PRIMARY KEY (document_id, index)
);
ALTER TABLE reindexed_parts ALTER COLUMN embedding SET STORAGE MAIN;

DO $$
BEGIN
  GRANT SELECT, INSERT, UPDATE, DELETE ON collection_reindexes, reindexed_parts TO flowstate_app;
EXCEPTION
  WHEN undefined_object OR insufficient_privilege THEN
    RAISE WARNING 'roles are missing: services use the owner''s login';
END $$;
