-- Fair dispatch: what the feeder needs to share the queues out, and what operators may set at run time.

-- One index group is one principal's runs of one workflow version at one priority, in due order. The feeder jumps from
-- group to group, so neither a long line of one principal nor runs of a version nobody carries cost it anything.
DROP INDEX run_live_due;
CREATE INDEX run_live_due ON run_live (queue, principal_id, workflow_id, priority, due_at) WHERE due_at IS NOT NULL;

ALTER TABLE workers ADD COLUMN concurrency int NOT NULL DEFAULT 16;   -- runs in hand at most, per queue

ALTER TABLE workflows
  ADD COLUMN max_concurrent int CHECK (max_concurrent > 0),            -- declared: runs in flight at most
  ADD COLUMN max_per_key int CHECK (max_per_key > 0);                  -- declared: of runs that share a concurrency key

CREATE TABLE limits (
  scope text NOT NULL CHECK (scope IN ('principal', 'role', 'default', 'workflow')),
  subject text NOT NULL,                               -- principal's id, role, workflow's name; empty for the default
  max_concurrent int CHECK (max_concurrent > 0),       -- runs in flight; null: as the next wider scope says
  max_backlog int CHECK (max_backlog >= 0),            -- runs that have not ended; null: as the next wider scope says
  weight int CHECK (weight BETWEEN 1 AND 100),         -- share of the workers; null: as the next wider scope says
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (scope, subject)
);

-- What an operator wants of a queue, and what the feeder last said about its window. Postgres keeps it: FLUSHALL would
-- resume a paused BullMQ queue.
CREATE TABLE queue_states (
  queue text PRIMARY KEY,
  paused boolean NOT NULL DEFAULT false,
  open boolean NOT NULL DEFAULT true,                  -- nothing stands in the ledger's line: gateways may go round it
  size int NOT NULL DEFAULT 512,                       -- jobs that may wait in Redis at most
  round int NOT NULL DEFAULT 0,                        -- jobs of an earlier round are served first
  published_at timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 50);
INSERT INTO queue_states (queue) VALUES ('workflows'), ('documents');

-- Principals with many runs that have not ended, as last counted.
CREATE TABLE backlog_census (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  counted_at timestamptz NOT NULL DEFAULT now(),
  crowded jsonb NOT NULL DEFAULT '{}'                  -- {principal id: runs}
) WITH (fillfactor = 50);
INSERT INTO backlog_census DEFAULT VALUES;

DO $$
BEGIN
  GRANT SELECT, INSERT, UPDATE, DELETE ON limits, queue_states, backlog_census TO flowstate_app;
  -- A worker that wakes a waiting run must know whether it may hand it over itself.
  GRANT SELECT ON queue_states TO flowstate_worker;
EXCEPTION
  WHEN undefined_object OR insufficient_privilege THEN
    RAISE WARNING 'roles are missing: services use the owner''s login';
END $$;
