-- Large results stored once beside the journal; what retention may delete, and how it drops whole weeks.

-- Results over 256 KiB, by content: the journal and run_ends refer to them by hash within the run.
CREATE TABLE run_payloads (
  run_id uuid NOT NULL,
  hash text NOT NULL,                                  -- SHA-256 of data, base64url
  bytes int NOT NULL,
  data text NOT NULL,                                  -- JSON
  PRIMARY KEY (run_id, hash)
) PARTITION BY RANGE (run_id);

ALTER TABLE run_ends ADD COLUMN output_ref text;       -- hash of the output in run_payloads; output is null then

-- Partitions of every table that is partitioned by run id, whichever migration made it.
CREATE OR REPLACE FUNCTION ensure_ledger_partitions(weeks_ahead int DEFAULT 4) RETURNS void LANGUAGE plpgsql
  SECURITY DEFINER SET timezone = 'GMT' SET search_path = public, pg_temp AS $$
DECLARE
  week timestamptz;
  parent text;
  child text;
BEGIN
  FOR parent IN SELECT name FROM ledger_tables ORDER BY name LOOP
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

CREATE VIEW ledger_tables AS
SELECT c.relname::text AS name
FROM pg_partitioned_table p
JOIN pg_class c ON c.oid = p.partrelid AND c.relnamespace = 'public'::regnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0]
WHERE p.partstrat = 'r' AND p.partnatts = 1 AND a.atttypid = 'uuid'::regtype;
SELECT ensure_ledger_partitions();

-- The week partitions there are, by table.
CREATE VIEW ledger_partitions AS
SELECT t.name AS parent, c.relname::text AS name, w.week,
       uuidv7_floor(m.monday) AS first_id, uuidv7_floor(m.monday + interval '1 week') AS end_id
FROM ledger_tables t
JOIN pg_inherits i ON i.inhparent = to_regclass(t.name)
JOIN pg_class c ON c.oid = i.inhrelid
CROSS JOIN LATERAL (SELECT substring(c.relname::text FROM '_(\d{4}_\d\d)$') AS week) w -- null: the default one
CROSS JOIN LATERAL (SELECT to_date(w.week, 'IYYY_IW')::timestamp AT TIME ZONE 'GMT' AS monday) m
WHERE w.week IS NOT NULL;

-- What decides whether a run may go. `held`: it lives, or somebody still needs it: a live parent that may not have read
-- its result, a live child that will report to it, a webhook still to be told.
CREATE VIEW run_retention AS
SELECT r.id,
       EXISTS (SELECT FROM run_live l WHERE l.id = r.id)
       OR (r.parent_id IS NOT NULL AND EXISTS (SELECT FROM run_live l WHERE l.id = r.parent_id))
       OR r.id IN (SELECT l.parent_id FROM run_live l WHERE l.parent_id IS NOT NULL)
       OR EXISTS (SELECT FROM webhook_deliveries w WHERE w.run_id = r.id AND w.due_at IS NOT NULL) AS held,
       coalesce((SELECT max(e.finished_at) FROM run_ends e WHERE e.id = r.id), r.created_at) AS finished_at
FROM runs r;

-- Drops one week of one table and answers how many rows that were; null when it must stay. Weeks of `runs` go first and
-- decide: everything in them must have finished before `finished_before` and be held by nothing. The week is locked
-- against retries before that is looked at; readers are shut out only for the drop itself, and what cannot have its
-- lock at once fails (55P03).
CREATE FUNCTION drop_ledger_partition(parent text, week text, finished_before timestamptz) RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER SET timezone = 'GMT' SET lock_timeout = '100ms' SET jit = off
  SET search_path = public, pg_temp AS $$
DECLARE
  target ledger_partitions;
  dropped bigint;
BEGIN
  SELECT * INTO target FROM ledger_partitions p
  WHERE p.parent = drop_ledger_partition.parent AND p.week = drop_ledger_partition.week;
  -- A week that may still get rows would have to be made again, which rows in the default partition would prevent.
  IF target.name IS NULL OR target.end_id > uuidv7_floor(now() - interval '1 day') THEN
    RETURN NULL;
  END IF;
  EXECUTE format('LOCK TABLE %I IN EXCLUSIVE MODE', target.name);
  IF parent = 'runs' THEN
    IF EXISTS (SELECT FROM run_retention r WHERE r.id >= target.first_id AND r.id < target.end_id
                 AND (r.held OR r.finished_at >= finished_before)) THEN
      RETURN NULL;
    END IF;
  ELSIF EXISTS (SELECT FROM ledger_partitions p WHERE p.parent = 'runs' AND p.week = drop_ledger_partition.week) THEN
    RETURN NULL;
  END IF;
  EXECUTE format('SELECT count(*) FROM %I', target.name) INTO dropped;
  EXECUTE format('DROP TABLE %I', target.name);
  RETURN dropped;
END $$;
REVOKE EXECUTE ON FUNCTION drop_ledger_partition FROM PUBLIC;

DO $$
BEGIN
  GRANT SELECT, INSERT, UPDATE, DELETE ON run_payloads TO flowstate_app;
  GRANT SELECT ON run_retention, ledger_partitions TO flowstate_app;
  GRANT EXECUTE ON FUNCTION drop_ledger_partition TO flowstate_app;
  GRANT SELECT, INSERT ON run_payloads TO flowstate_worker;
EXCEPTION
  WHEN undefined_object OR insufficient_privilege THEN
    RAISE WARNING 'roles are missing: services use the owner''s login';
END $$;
