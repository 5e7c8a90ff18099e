-- The run ledger. Rows that never change are insert-only and partitioned by UUIDv7 (so retention is DROP PARTITION);
-- the one row that changes, run_live, is small, non-terminal only, and carries no index on what changes (HOT updates).

CREATE EXTENSION IF NOT EXISTS vector;

-- Postgres is the clock of everything durable; this is the lowest UUIDv7 of a moment.
CREATE FUNCTION uuidv7_floor(moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
  SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || '7000' || '8000000000000000')::uuid
$$;

CREATE TABLE workers (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,   -- the incarnation: never reused
  host text NOT NULL,
  pid int NOT NULL,
  bundle text NOT NULL,
  started_at timestamptz NOT NULL DEFAULT now(),
  heartbeat_at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz                               -- left in order, or found dead and its runs taken away
) WITH (fillfactor = 50);

CREATE TABLE workflows (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL,
  version text NOT NULL,
  description text NOT NULL,
  queue text NOT NULL,
  input_schema jsonb NOT NULL,
  output_schema jsonb NOT NULL,
  published_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (name, version)
);

CREATE TABLE runs (
  id uuid PRIMARY KEY,
  workflow_id int NOT NULL,
  principal_id uuid NOT NULL,
  role text NOT NULL,
  priority smallint NOT NULL,
  tags text[] NOT NULL,
  input text NOT NULL,
  webhook_url text,
  trace text,                                        -- W3C traceparent of the request that started it
  created_at timestamptz NOT NULL DEFAULT now()
) PARTITION BY RANGE (id);
CREATE INDEX runs_principal ON runs (principal_id, id);

CREATE TABLE run_live (
  id uuid PRIMARY KEY,
  queue text NOT NULL,
  priority smallint NOT NULL,
  ready_at timestamptz NOT NULL,
  state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'waiting', 'parked')),
  owner int,                                         -- incarnation of the worker that runs it
  attempt smallint NOT NULL DEFAULT 1,
  dispatch int NOT NULL DEFAULT 0,                   -- deliveries before this one; makes later job ids differ
  chunk int NOT NULL DEFAULT 0,                      -- last journal chunk: the fence of every write
  seq_base int NOT NULL DEFAULT 0,                   -- events before this attempt
  cancel boolean NOT NULL DEFAULT false,
  crashes smallint NOT NULL DEFAULT 0,
  started_at timestamptz
) WITH (fillfactor = 70);
CREATE INDEX run_live_ready ON run_live (queue, priority, ready_at);

CREATE TABLE run_journal (
  run_id uuid NOT NULL,
  chunk int NOT NULL,
  events text NOT NULL,                              -- JSON array of events, each with its seq
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (run_id, chunk)
) PARTITION BY RANGE (run_id);

CREATE TABLE run_ends (
  id uuid NOT NULL,
  attempt smallint NOT NULL,
  state text NOT NULL CHECK (state IN ('completed', 'failed', 'cancelled')),
  started_at timestamptz,
  finished_at timestamptz NOT NULL DEFAULT now(),
  seq_base int NOT NULL,
  last_seq int NOT NULL,                             -- seq of the terminal event
  chunk int NOT NULL,
  events text NOT NULL,                              -- steps that were finished since the last chunk
  output text,
  error text,
  PRIMARY KEY (id, attempt)
) PARTITION BY RANGE (id);

CREATE TABLE idempotency (
  principal_id uuid NOT NULL,
  route text NOT NULL,
  key text NOT NULL,
  body_hash text NOT NULL,
  run_id uuid NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (principal_id, route, key)
);

-- Partitions by week, made ahead of time; the default one catches what a clock far ahead of ours would send.
-- GMT, not UTC: it is the one zone Postgres knows on a machine without tzdata.
CREATE FUNCTION ensure_ledger_partitions(weeks_ahead int DEFAULT 4) RETURNS void LANGUAGE plpgsql SET timezone = 'GMT' AS $$
DECLARE
  week timestamptz;
  parent text;
  child text;
BEGIN
  FOREACH parent IN ARRAY ARRAY['runs', 'run_journal', 'run_ends'] LOOP
    EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I DEFAULT', parent || '_default', parent);
    FOR week IN
      SELECT generate_series(date_trunc('week', now()), now() + weeks_ahead * interval '1 week', interval '1 week')
    LOOP
      child := parent || to_char(week, '_IYYY_IW');
      CONTINUE WHEN to_regclass(child) IS NOT NULL;
      EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', child, parent,
                     uuidv7_floor(week), uuidv7_floor(week + interval '1 week'));
    END LOOP;
  END LOOP;
END $$;
SELECT ensure_ledger_partitions();
