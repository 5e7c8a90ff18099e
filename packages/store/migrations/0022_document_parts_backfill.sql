-- Long documents embedded before they were embedded in parts (0016) are found by their beginning only. They stay in this
-- list until a worker has embedded them again; the controller starts the runs.
CREATE TABLE documents_without_parts (
  document_id uuid PRIMARY KEY REFERENCES documents (id) ON DELETE CASCADE,
  run_id uuid                                          -- the run that is to embed it; null: none was started yet
);

-- Below 200 characters a text is one part in any script. Which of the longer ones are, the worker finds out.
INSERT INTO documents_without_parts (document_id)
SELECT id FROM documents
WHERE embedding IS NOT NULL AND first_length IS NULL AND length(text) > 200
  AND updated_at < (SELECT applied_at FROM schema_migrations WHERE name LIKE '0016%');

DO $$
BEGIN
  GRANT SELECT, INSERT, UPDATE, DELETE ON documents_without_parts TO flowstate_app;
EXCEPTION
  WHEN undefined_object OR insufficient_privilege THEN
    RAISE WARNING 'roles are missing: services use the owner''s login';
END $$;
