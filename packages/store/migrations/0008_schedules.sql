-- Schedules: runs that start by themselves. Postgres is their clock; the controller only asks it what is due.

CREATE TABLE schedules (
  id uuid PRIMARY KEY,
  owner_id uuid NOT NULL,                              -- its runs are this user's, with the role they have at the time
  name text,
  workflow text NOT NULL,                              -- its newest version at the time of firing
  input text NOT NULL,                                 -- JSON, as it was sent: a version's defaults are filled in per run
  cron text,
  every_ms bigint CHECK (every_ms > 0),                -- counted from start_at, else from created_at
  timezone text NOT NULL,                              -- IANA name; what `cron` is read in
  missed text NOT NULL CHECK (missed IN ('skip', 'run-once', 'run-all')),
  overlap text NOT NULL CHECK (overlap IN ('allow', 'skip', 'cancel-previous')),
  priority smallint NOT NULL,
  tags text[] NOT NULL,
  start_at timestamptz(3),                             -- milliseconds, as the API's: what is computed with compares equal
  end_at timestamptz(3),
  enabled boolean NOT NULL,
  revision int NOT NULL DEFAULT 1,                     -- rises with every edit: of two at once one is told
  next_at timestamptz(3),                              -- when it fires next; null: paused, suspended or at its end
  last_error text,                                     -- why it was suspended; null when it is not
  last_fired_at timestamptz(3),
  last_run_id uuid,
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CHECK ((cron IS NULL) <> (every_ms IS NULL)),
  CHECK (next_at IS NULL OR (enabled AND last_error IS NULL))
);
CREATE INDEX schedules_due ON schedules (next_at) WHERE next_at IS NOT NULL;

-- What makes a firing happen once: its key is written in the transaction that accepts its run. The newest of each
-- schedule are kept.
CREATE TABLE schedule_firings (
  schedule_id uuid NOT NULL REFERENCES schedules ON DELETE CASCADE,
  due_at timestamptz(3) NOT NULL,
  run_id uuid,                                         -- null: left out, the run before was not over
  PRIMARY KEY (schedule_id, due_at)
);

-- Neither changes once a run is accepted: its updates stay HOT.
ALTER TABLE runs ADD COLUMN schedule_id uuid;
ALTER TABLE run_live ADD COLUMN schedule_id uuid;
CREATE INDEX runs_schedule ON runs (schedule_id, id) WHERE schedule_id IS NOT NULL;
CREATE INDEX run_live_schedule ON run_live (schedule_id) WHERE schedule_id IS NOT NULL;

DO $$
BEGIN
  GRANT SELECT, INSERT, UPDATE, DELETE ON schedules, schedule_firings TO flowstate_app;
EXCEPTION
  WHEN undefined_object OR insufficient_privilege THEN
    RAISE WARNING 'roles are missing: services use the owner''s login';
END $$;
