-- Who did what. Entries are only ever added: the services' role may INSERT and SELECT, and a chain of seals, made a
-- second or so later, shows any change, removal or insertion behind its back.

CREATE FUNCTION uuidv7_time(id uuid) RETURNS timestamptz LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT to_timestamp(('x' || translate(left(id::text, 13), '-', ''))::bit(48)::bigint / 1000.0)
$$;

CREATE TABLE audit_log (
  id uuid NOT NULL,                                  -- UUIDv7, made when it happened
  at timestamptz NOT NULL CHECK (at = uuidv7_time(id)),
  -- The transaction that wrote it: all entries below the oldest transaction still open are there for good, so a seal
  -- skips nothing that commits late. Never given by the writer (no grant on the column).
  xid bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
  action text NOT NULL,
  actor text,                                        -- user id; null: nobody known
  subject text,                                      -- what it was done to
  outcome text NOT NULL CHECK (outcome IN ('success', 'denied', 'failed')),
  details text,                                      -- JSON, nothing personal
  personal text,                                     -- SHA-256 (hex, comma-separated) of its rows of audit_personal
  PRIMARY KEY (at, id)
) PARTITION BY RANGE (at);
CREATE INDEX audit_log_xid ON audit_log (xid);
CREATE INDEX audit_log_actor ON audit_log (actor, at);

-- What concerns a person (address, e-mail, user agent) stands apart: it can be erased, and the chain, which knows only
-- the salted hash, still holds.
CREATE TABLE audit_personal (
  entry_id uuid NOT NULL,
  person text NOT NULL,                              -- whose data it is
  salt bytea NOT NULL,
  data text NOT NULL,                                -- JSON
  PRIMARY KEY (entry_id, person)
);
CREATE INDEX audit_personal_person ON audit_personal (person);

-- One seal for the entries of a second or so; its hash covers the seal before it.
CREATE TABLE audit_seals (
  number bigint PRIMARY KEY,
  sealed_at timestamptz NOT NULL,
  cluster bigint NOT NULL,                           -- transaction numbers mean something within one server only
  horizon bigint NOT NULL,                           -- every entry of a transaction below it is sealed
  entries uuid[] NOT NULL,                           -- in order
  digests bytea NOT NULL,                            -- SHA-256 of each entry, 32 bytes each
  total bigint NOT NULL,                             -- entries sealed so far, with these
  previous bytea NOT NULL,
  hash bytea NOT NULL
);

CREATE FUNCTION ensure_audit_partitions(months_ahead int DEFAULT 2) RETURNS void LANGUAGE plpgsql
  SECURITY DEFINER SET timezone = 'GMT' SET search_path = public, pg_temp AS $$
DECLARE
  month timestamptz;
  child text;
BEGIN
  CREATE TABLE IF NOT EXISTS audit_log_default PARTITION OF audit_log DEFAULT;
  FOR month IN
    SELECT generate_series(date_trunc('month', now()), now() + months_ahead * interval '1 month', interval '1 month')
  LOOP
    child := 'audit_log' || to_char(month, '_YYYY_MM');
    CONTINUE WHEN to_regclass(child) IS NOT NULL;
    EXECUTE format('CREATE TABLE %I PARTITION OF audit_log FOR VALUES FROM (%L) TO (%L)', child, month,
                   month + interval '1 month');
  END LOOP;
END $$;
SELECT ensure_audit_partitions();

DO $$
BEGIN
  GRANT SELECT, INSERT (id, at, action, actor, subject, outcome, details, personal) ON audit_log TO flowstate_app;
  GRANT SELECT, INSERT ON audit_seals TO flowstate_app;
  GRANT SELECT, INSERT, DELETE ON audit_personal TO flowstate_app;
EXCEPTION
  WHEN undefined_object OR insufficient_privilege THEN
    RAISE WARNING 'roles are missing: services use the owner''s login';
END $$;
