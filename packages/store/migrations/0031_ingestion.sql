-- Stored documents for whose embedding no run was accepted yet: noted with the document, ended when its run is. What a
-- gateway left here that died in between, the controller starts a run for.
CREATE TABLE documents_awaiting_run (
  document_id uuid PRIMARY KEY REFERENCES documents (id) ON DELETE CASCADE,
  principal_id uuid NOT NULL,                          -- who sent it, in whose name it is embedded
  role text NOT NULL,
  since timestamptz NOT NULL DEFAULT now()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);

DO $$
BEGIN
  GRANT SELECT, INSERT, UPDATE, DELETE ON documents_awaiting_run TO flowstate_app;
EXCEPTION
  WHEN undefined_object OR insufficient_privilege THEN
    RAISE WARNING 'roles are missing: services use the owner''s login';
END $$;
