-- Scaling: what the leading controller last decided for each queue, and what people decided instead for a while.

-- One row per queue, written anew about each second. Everybody who is asked answers from it, so that they agree.
CREATE TABLE scaling_state (
  queue text PRIMARY KEY,
  state jsonb NOT NULL,                              -- as it is shown: ScalingState of contracts
  computed_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

CREATE TABLE scaling_overrides (
  id uuid PRIMARY KEY,
  queue text NOT NULL,
  min_workers int CHECK (min_workers >= 0),          -- null: as the policy says
  max_workers int CHECK (max_workers >= 0),
  reason text NOT NULL,
  author_id uuid NOT NULL REFERENCES users,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  released_at timestamptz,                           -- restored, or replaced by a later one
  released_by uuid REFERENCES users,
  CHECK (min_workers IS NOT NULL OR max_workers IS NOT NULL)
);
CREATE INDEX scaling_overrides_live ON scaling_overrides (expires_at) WHERE released_at IS NULL;

-- Told with each heartbeat, which writes the row anyway.
ALTER TABLE workers
  ADD COLUMN url text,                               -- where this very instance can be asked
  ADD COLUMN served jsonb NOT NULL DEFAULT '{}';     -- queue → {stays, seconds}: places given back since it started

DO $$
BEGIN
  GRANT SELECT, INSERT, UPDATE, DELETE ON scaling_state, scaling_overrides TO flowstate_app;
EXCEPTION
  WHEN undefined_object OR insufficient_privilege THEN
    RAISE WARNING 'roles are missing: services use the owner''s login';
END $$;
