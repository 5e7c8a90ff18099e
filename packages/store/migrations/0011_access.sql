-- Access that changes while everything runs: lockdowns with an end, switches and limits, who answers for a role.
-- All of it is read by every gateway a few times a second, together with the policy epoch.

CREATE TABLE access_overrides (
  id uuid PRIMARY KEY,
  target text NOT NULL,                              -- a permission, or `METHOD /route`
  roles text[] NOT NULL,                             -- who keeps what the access table gives them
  reason text NOT NULL,
  author_id uuid NOT NULL REFERENCES users,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  released_at timestamptz,
  released_by uuid REFERENCES users
);
CREATE INDEX access_overrides_live ON access_overrides (expires_at) WHERE released_at IS NULL;

CREATE TABLE role_owners (
  role text PRIMARY KEY CHECK (role IN ('admin', 'manager', 'analyst', 'agent', 'integration', 'service')),
  owner text NOT NULL,                               -- who in the business answers for it
  contact text,                                      -- how to reach them
  updated_at timestamptz NOT NULL DEFAULT now(),
  updated_by uuid REFERENCES users
);

-- Only what differs from its default stands here.
CREATE TABLE flags (
  name text PRIMARY KEY,
  value text NOT NULL,                               -- JSON
  reason text NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now(),
  updated_by uuid REFERENCES users
);

-- Policy epoch the run was accepted under; null forces a decision at its next claim.
ALTER TABLE runs ADD COLUMN epoch bigint;

DO $$
BEGIN
  GRANT SELECT, INSERT, UPDATE, DELETE ON access_overrides, role_owners, flags TO flowstate_app;
  -- A number and nothing else: by it a worker knows that it must ask again whether a run may begin.
  GRANT SELECT ON policy TO flowstate_worker;
EXCEPTION
  WHEN undefined_object OR insufficient_privilege THEN
    RAISE WARNING 'roles are missing: services use the owner''s login';
END $$;
