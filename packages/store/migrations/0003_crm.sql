-- What customer-insights works on: the customers of whoever runs Flowstate, and what is known about each. A row is
-- identified by the external id it was imported with. Times have milliseconds, as the API's do, so that what was read
-- compares equal to what is stored.

CREATE TABLE customers (
  id uuid PRIMARY KEY,
  external_id text NOT NULL UNIQUE,
  name text NOT NULL,
  industry text,
  segment text,
  country text,
  employees int CHECK (employees >= 0),
  annual_revenue numeric CHECK (annual_revenue >= 0),   -- USD
  owner text,
  since date,
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE interactions (
  id uuid PRIMARY KEY,
  external_id text NOT NULL UNIQUE,
  customer_id uuid NOT NULL REFERENCES customers (id),
  thread text,
  channel text NOT NULL,
  direction text NOT NULL CHECK (direction IN ('inbound', 'outbound')),
  at timestamptz(3) NOT NULL,
  author text,
  subject text,
  text text NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX interactions_customer ON interactions (customer_id, at DESC, id DESC);
CREATE INDEX interactions_at ON interactions (at DESC, id DESC);

CREATE TABLE opportunities (
  id uuid PRIMARY KEY,
  external_id text NOT NULL UNIQUE,
  customer_id uuid NOT NULL REFERENCES customers (id),
  name text,
  product text NOT NULL,
  owner text NOT NULL,
  stage text NOT NULL,                                  -- closed when 'won' or 'lost'
  amount numeric,                                       -- USD
  opened_at timestamptz(3),
  closed_at timestamptz(3),
  -- [{stage, at}] in order of time. Read and replaced as a whole, never queried by entry, hence no table of its own.
  history jsonb NOT NULL DEFAULT '[]',
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX opportunities_customer ON opportunities (customer_id, id DESC);
CREATE INDEX opportunities_owner ON opportunities (owner, id DESC);
CREATE INDEX opportunities_stage ON opportunities (stage, id DESC);
CREATE INDEX opportunities_product ON opportunities (product, id DESC);

CREATE TABLE integrations (
  id uuid PRIMARY KEY,
  external_id text NOT NULL UNIQUE,
  customer_id uuid NOT NULL REFERENCES customers (id),
  name text NOT NULL,
  kind text NOT NULL,
  status text NOT NULL,
  latency_ms float8,
  last_sync_at timestamptz(3),
  sync_interval_minutes float8,
  error_count_24h int NOT NULL DEFAULT 0 CHECK (error_count_24h >= 0),
  incidents jsonb NOT NULL DEFAULT '[]',                -- [{openedAt, closedAt, summary}]
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX integrations_customer ON integrations (customer_id, id DESC);
