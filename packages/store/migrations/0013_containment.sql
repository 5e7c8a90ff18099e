-- Containment: one command takes everything from a user (logins, keys, streams, runs), and gives the runs back later.
--
-- A quarantined run is one more state of run_live: every statement that moves a run names the states it moves, so none
-- of them touches it, and none of the hot ones had to change. Its owner is gone and its journal one chunk further, which
-- fences whatever its last owner still writes, even if that same owner gets it again.

ALTER TABLE run_live DROP CONSTRAINT run_live_state_check;
ALTER TABLE run_live ADD CONSTRAINT run_live_state_check
  CHECK (state IN ('queued', 'running', 'waiting', 'parked', 'quarantined')) NOT VALID;
ALTER TABLE run_live VALIDATE CONSTRAINT run_live_state_check;

ALTER TABLE users ADD COLUMN contained_at timestamptz;
-- Whoever asks whether a user may do anything asks this one column.
ALTER TABLE users ADD COLUMN barred boolean NOT NULL
  GENERATED ALWAYS AS (disabled_at IS NOT NULL OR contained_at IS NOT NULL) STORED;

CREATE TABLE containments (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES users,
  reason text NOT NULL,
  author_id uuid REFERENCES users,                   -- null: by the command line, without a gateway
  contained_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- What was done, counted in the transactions that did it.
  sessions int NOT NULL DEFAULT 0,
  families int NOT NULL DEFAULT 0,                   -- refresh token families among them that could still be used
  keys int NOT NULL DEFAULT 0,
  queued int NOT NULL DEFAULT 0,                     -- runs, by what they were
  running int NOT NULL DEFAULT 0,
  waiting int NOT NULL DEFAULT 0,
  obeyed_ms float8,                                  -- until the last process obeyed; null: not measured (yet)
  released_at timestamptz,
  released_by uuid REFERENCES users
);
CREATE UNIQUE INDEX containments_open ON containments (user_id) WHERE released_at IS NULL;

-- Processes that serve requests, so that a containment knows whom to wait for. A worker has its row in `workers`.
CREATE TABLE gateways (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  host text NOT NULL,
  pid int NOT NULL,
  started_at timestamptz NOT NULL DEFAULT now(),
  seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at timestamptz
) WITH (fillfactor = 50);

-- A gateway knows of the containment, and has closed its subject's streams.
CREATE TABLE containment_acks (
  containment_id uuid NOT NULL REFERENCES containments ON DELETE CASCADE,
  gateway_id int NOT NULL REFERENCES gateways ON DELETE CASCADE,
  streams int NOT NULL,                              -- how many it closed
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (containment_id, gateway_id)
);

ALTER TABLE workers
  ADD COLUMN obeyed_epoch bigint NOT NULL DEFAULT 0, -- it runs nothing that was taken from it up to this policy epoch
  ADD COLUMN obeyed_at timestamptz;

DO $$
BEGIN
  GRANT SELECT, INSERT, UPDATE, DELETE ON containments, gateways, containment_acks TO flowstate_app;
EXCEPTION
  WHEN undefined_object OR insufficient_privilege THEN
    RAISE WARNING 'roles are missing: services use the owner''s login';
END $$;
