-- What was recommended to whom, and what they said of it.

CREATE TABLE recommendations (
  id uuid PRIMARY KEY,                                 -- UUIDv7: retention goes by it
  customer_id uuid NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
  principal_id uuid NOT NULL,
  items jsonb NOT NULL                                 -- [{kind, item}]: only these take feedback
);

-- Outlives the recommendation: it is what later ones are made of. One opinion per principal, customer and item, however
-- often it was recommended.
CREATE TABLE recommendation_feedback (
  customer_id uuid NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
  kind text NOT NULL CHECK (kind IN ('action', 'document')),
  item text NOT NULL,                                  -- a product, or the id of a document
  principal_id uuid NOT NULL,
  helpful boolean NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (customer_id, kind, item, principal_id)
);
CREATE INDEX recommendation_feedback_at ON recommendation_feedback (at);

DO $$
BEGIN
  GRANT SELECT, INSERT, UPDATE, DELETE ON recommendations, recommendation_feedback TO flowstate_app;
EXCEPTION
  WHEN undefined_object OR insufficient_privilege THEN
    RAISE WARNING 'roles are missing: services use the owner''s login';
END $$;
