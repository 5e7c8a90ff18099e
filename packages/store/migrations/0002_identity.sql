-- Who may log in, what they are logged in with, and the counter that rises with every change of access.
-- Secrets never stand here: passwords are argon2id hashes, keys and refresh tokens SHA-256 of 256 random bits.

CREATE TABLE users (
  id uuid PRIMARY KEY,
  email text NOT NULL,
  name text NOT NULL,
  role text NOT NULL CHECK (role IN ('admin', 'manager', 'analyst', 'agent', 'integration', 'service')),
  password_hash text,                                -- null: nobody logs in with a password (service accounts)
  disabled_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX users_email ON users (lower(email));

CREATE TABLE sessions (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT now(),
  last_seen_at timestamptz NOT NULL DEFAULT now(),   -- to the minute
  expires_at timestamptz NOT NULL,
  revoked_at timestamptz,
  user_agent text,
  address text
);
CREATE INDEX sessions_user ON sessions (user_id, id);
-- What gateways poll: a revocation reaches them even when Redis lost it.
CREATE INDEX sessions_revoked ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;

-- All refresh tokens of a session are one family: using one twice revokes the session.
CREATE TABLE refresh_tokens (
  hash bytea PRIMARY KEY,
  session_id uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  used_at timestamptz
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);

CREATE TABLE api_keys (
  id uuid PRIMARY KEY,
  prefix text NOT NULL UNIQUE,                       -- the part of the key that may be shown
  hash bytea NOT NULL,
  user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  name text NOT NULL,
  scopes text[] NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  last_used_at timestamptz,                          -- to the minute
  revoked_at timestamptz
);
CREATE INDEX api_keys_user ON api_keys (user_id, id);

CREATE TABLE policy (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  epoch bigint NOT NULL DEFAULT 1
);
INSERT INTO policy DEFAULT VALUES;
