-- Evaluations: how well a workflow did on a dataset, told by whoever ran it.

CREATE TABLE evaluations (
  id uuid PRIMARY KEY,                               -- UUIDv7: lists are ordered by it
  workflow text NOT NULL,
  version text NOT NULL,
  dataset text NOT NULL,
  dataset_hash text NOT NULL,                        -- only the same cases are compared one by one
  mind text NOT NULL CHECK (mind IN ('model', 'offline')),
  models text[] NOT NULL,
  summary jsonb NOT NULL,                            -- EvaluationSummary of contracts
  cases text NOT NULL,                               -- JSON: EvaluatedCase[] of contracts; read one evaluation at a time
  principal_id uuid NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX evaluations_workflow ON evaluations (workflow, id DESC);
CREATE INDEX evaluations_principal ON evaluations (principal_id, id DESC);

DO $$
BEGIN
  GRANT SELECT, INSERT ON evaluations TO flowstate_app;
EXCEPTION
  WHEN undefined_object OR insufficient_privilege THEN
    RAISE WARNING 'roles are missing: services use the owner''s login';
END $$;
