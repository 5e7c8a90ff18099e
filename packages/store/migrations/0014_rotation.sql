-- What a rotation of secrets needs to know: who signs and verifies with which key, which keys are dead, how old every
-- secret is, and whether the last rehearsal passed. No secret stands here, and nothing one could be guessed by.

-- A key as long as anybody may still ask for it; what its tokens' bearers did is told by every gateway once a second.
CREATE TABLE signing_keys (
  kid text PRIMARY KEY,
  first_seen_at timestamptz NOT NULL DEFAULT now(),
  last_verified_at timestamptz,
  last_signed_at timestamptz,
  last_expiry timestamptz                            -- of the tokens signed with it
);

-- A row for each gateway process and key it holds; one that drained takes its rows along.
CREATE TABLE gateway_keys (
  gateway uuid NOT NULL,
  kid text NOT NULL REFERENCES signing_keys,
  name text NOT NULL,                                -- host:pid
  signs boolean NOT NULL,                            -- else it only verifies
  verified_recently int NOT NULL,                    -- in the last ten minutes
  policy_at timestamptz NOT NULL,                    -- the access policy, dead keys included, it has applied
  seen_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (gateway, kid)
);

-- For good: the services may add to it and take nothing away. Read by every gateway with the policy.
CREATE TABLE killed_keys (
  kid text PRIMARY KEY,
  killed_at timestamptz NOT NULL DEFAULT now(),
  killed_by uuid REFERENCES users,                   -- null: somebody with the database's address
  reason text NOT NULL
);

CREATE TABLE secrets (
  name text PRIMARY KEY,
  salt uuid NOT NULL DEFAULT gen_random_uuid(),      -- of the fingerprints
  max_age_days int NOT NULL CHECK (max_age_days BETWEEN 1 AND 3650),
  updated_at timestamptz,
  updated_by uuid REFERENCES users
);
INSERT INTO secrets (name, max_age_days) VALUES
  ('JWT_SECRET', 90), ('REDIS_URL', 90), ('REDIS_CACHE_URL', 90), ('DATABASE_URL', 180), ('WEBHOOK_SECRET', 365),
  ('WORKER_API_KEY', 180), ('METRICS_TOKEN', 365);

-- Sixteen bits of a slow salted hash: a new value is told from the old one, and 65,535 of 65,536 guesses look as good.
CREATE TABLE secret_values (
  name text NOT NULL REFERENCES secrets,
  fingerprint text NOT NULL,
  first_seen_at timestamptz NOT NULL DEFAULT now(),
  last_seen_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (name, fingerprint)
);

CREATE TABLE rotation_rehearsals (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT now(),
  by uuid REFERENCES users,                          -- null: the controller, by its schedule
  passed boolean NOT NULL,
  checks text NOT NULL                               -- JSON: [{name, ok, evidence}]
);

DO $$
BEGIN
  GRANT SELECT, INSERT, UPDATE ON signing_keys, secret_values TO flowstate_app;
  GRANT SELECT, INSERT, UPDATE, DELETE ON gateway_keys TO flowstate_app;
  GRANT SELECT, INSERT ON killed_keys, rotation_rehearsals TO flowstate_app;
  GRANT SELECT, UPDATE (max_age_days, updated_at, updated_by) ON secrets TO flowstate_app;
EXCEPTION
  WHEN undefined_object OR insufficient_privilege THEN
    RAISE WARNING 'roles are missing: services use the owner''s login';
END $$;
