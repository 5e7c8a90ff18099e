-- What agents ask people for before they do it, and what they leave for people to do.

CREATE TABLE approvals (
  id uuid PRIMARY KEY,
  run_id uuid NOT NULL,
  step text NOT NULL,                                  -- of the tool call, which waits for the signal `approval:<step>`
  principal_id uuid NOT NULL,                          -- whose run it is, who may not decide
  workflow text NOT NULL,
  tool text NOT NULL,
  input text NOT NULL,                                 -- JSON
  input_schema text NOT NULL,                          -- JSON: an edited input must fit it
  asked_at timestamptz(3) NOT NULL DEFAULT now(),
  decision text CHECK (decision IN ('approve', 'edit', 'refuse')),
  decided_input text,                                  -- JSON, of an edit
  reason text,
  decided_by uuid,
  decided_at timestamptz(3),
  used_at timestamptz(3),                              -- what was approved has been begun: it is good for once
  outcome text,                                        -- JSON: how that ended; null while nobody knows
  UNIQUE (run_id, step),
  CHECK ((decision IS NULL) = (decided_by IS NULL AND decided_at IS NULL)),
  CHECK ((decision = 'edit') = (decided_input IS NOT NULL) OR decision IS NULL)
);
CREATE INDEX approvals_open ON approvals (id) WHERE decision IS NULL;

-- Something to be done for a customer. Its key makes a repeated request the same follow-up, for good.
CREATE TABLE follow_ups (
  id uuid PRIMARY KEY,
  customer_id uuid NOT NULL REFERENCES customers (id),
  principal_id uuid NOT NULL,
  run_id uuid,                                         -- of the agent that asked for it
  idempotency_key text,
  subject text NOT NULL,
  note text,
  due date,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  UNIQUE (principal_id, idempotency_key)
);
CREATE INDEX follow_ups_customer ON follow_ups (customer_id, id DESC);

DO $$
BEGIN
  GRANT SELECT, INSERT, UPDATE, DELETE ON approvals, follow_ups TO flowstate_app;
EXCEPTION
  WHEN undefined_object OR insufficient_privilege THEN
    RAISE WARNING 'roles are missing: services use the owner''s login';
END $$;
