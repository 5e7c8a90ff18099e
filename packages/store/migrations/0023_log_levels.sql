-- How much a service logs while everything runs, set by an administrator; without a row it is LOG_LEVEL of its process.
CREATE TABLE log_levels (
  service text PRIMARY KEY CHECK (service IN ('gateway', 'worker', 'controller')),
  level text NOT NULL CHECK (level IN ('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent')),
  until timestamptz,                                 -- null: until it is taken back
  reason text NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now(),
  updated_by uuid REFERENCES users
);

DO $$
BEGIN
  GRANT SELECT, INSERT, UPDATE, DELETE ON log_levels TO flowstate_app;
  GRANT SELECT (service, level, until) ON log_levels TO flowstate_worker;
EXCEPTION
  WHEN undefined_object OR insufficient_privilege THEN
    RAISE WARNING 'roles are missing: services use the owner''s login';
END $$;
