-- Webhooks: what a delivery needs to be fair between hosts and to outlive its controller, and a log of its tries.

ALTER TABLE webhook_deliveries
  ADD COLUMN host text COLLATE "C",                    -- of runs.webhook_url; filled in by the controller, off the way of a run's end
  ADD COLUMN failures int NOT NULL DEFAULT 0,          -- since it was last (re)started: the step of the backoff
  ADD COLUMN since timestamptz NOT NULL DEFAULT now(), -- retries go on for a day from here
  ADD COLUMN claimed_at timestamptz;                   -- a try is under way, until due_at at most; null: none is

-- The next due rows of each host are found by skipping from host to host, however many wait for a slow one.
DROP INDEX webhook_deliveries_due;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (host, due_at) WHERE due_at IS NOT NULL;

-- Insert-only; goes with its delivery.
CREATE TABLE webhook_tries (
  run_id uuid NOT NULL,
  attempt smallint NOT NULL,
  try int NOT NULL,
  at timestamptz NOT NULL,
  status smallint,                                     -- of the answer; null: there was none
  duration_ms int,                                     -- null: nobody knows
  error text,                                          -- null: delivered
  PRIMARY KEY (run_id, attempt, try),
  FOREIGN KEY (run_id, attempt) REFERENCES webhook_deliveries ON DELETE CASCADE
);

DO $$
BEGIN
  GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_tries TO flowstate_app;
EXCEPTION
  WHEN undefined_object OR insufficient_privilege THEN
    RAISE WARNING 'roles are missing: services use the owner''s login';
END $$;
