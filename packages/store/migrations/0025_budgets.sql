-- What calls of language models may cost, and did cost. Money is whole millionths of a US dollar, days are UTC (GMT: the
-- one zone Postgres knows on a machine without tzdata).

CREATE TABLE budgets (
  level text NOT NULL CHECK (level IN ('run', 'principal', 'workflow', 'model')),
  subject text NOT NULL,                               -- id or name; empty: each that has no budget of its own
  period text NOT NULL CHECK (period IN ('day', 'month', 'total')),
  max_tokens bigint CHECK (max_tokens >= 0),           -- input and output together; null: no cap
  max_micro_usd bigint CHECK (max_micro_usd >= 0),     -- null: no cap
  at_limit text NOT NULL CHECK (at_limit IN ('fail', 'pause', 'cheaper')),
  cheaper_model text,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (level, subject, period),
  CHECK (level <> 'run' OR period = 'total'),
  CHECK (num_nonnulls(max_tokens, max_micro_usd) > 0),
  CHECK ((at_limit = 'cheaper') = (cheaper_model IS NOT NULL))
);

-- What is spent or promised so far: the row whose lock decides who gets the last of it. Kept whether or not there is a
-- budget, so that one set in the middle of a month counts the whole of it. `day` is that of the last reservation: the
-- figures of a day or month that is over mean nothing any more.
CREATE TABLE model_spending (
  level text NOT NULL,
  subject text NOT NULL,
  day date NOT NULL,
  day_tokens bigint NOT NULL DEFAULT 0,
  day_micro_usd bigint NOT NULL DEFAULT 0,
  month_tokens bigint NOT NULL DEFAULT 0,
  month_micro_usd bigint NOT NULL DEFAULT 0,
  total_tokens bigint NOT NULL DEFAULT 0,
  total_micro_usd bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (level, subject)
) WITH (fillfactor = 50);

-- One row per call that was allowed: reserved before it is made, settled with the checkpoint of the step that made it.
-- What is never settled counts as spent in full: nobody knows what the provider was asked.
CREATE TABLE model_calls (
  id uuid PRIMARY KEY,
  run_id uuid NOT NULL,
  owner int NOT NULL,                                  -- incarnation that made it, and alone may settle it
  step text NOT NULL,
  attempt int NOT NULL,
  principal_id uuid NOT NULL,
  workflow text NOT NULL,
  model text NOT NULL,
  day date NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  reserved_tokens bigint NOT NULL,
  reserved_micro_usd bigint,                           -- null: the model has no price
  input_price bigint,                                  -- millionths of a dollar for a million tokens, when it was made
  output_price bigint,
  input_tokens bigint,
  output_tokens bigint,
  micro_usd bigint,
  settled_at timestamptz
) WITH (fillfactor = 80);
CREATE INDEX model_calls_run ON model_calls (run_id);
CREATE INDEX model_calls_at ON model_calls (at);

-- The same by day, for good: the calls go with their runs.
CREATE TABLE model_usage (
  day date NOT NULL,
  principal_id uuid NOT NULL,
  workflow text NOT NULL,
  model text NOT NULL,
  calls bigint NOT NULL,
  unsettled_calls bigint NOT NULL,
  unpriced_calls bigint NOT NULL,
  input_tokens bigint NOT NULL DEFAULT 0,
  output_tokens bigint NOT NULL DEFAULT 0,
  micro_usd bigint NOT NULL DEFAULT 0,
  reserved_tokens bigint NOT NULL,                     -- of calls that are not settled
  reserved_micro_usd bigint NOT NULL,
  PRIMARY KEY (principal_id, day, workflow, model)
) WITH (fillfactor = 50);
CREATE INDEX model_usage_day ON model_usage (day);

-- Runs that wait for room in a budget: somebody raises it, its day ends, or what others reserved is settled for less.
CREATE TABLE budget_pauses (
  run_id uuid PRIMARY KEY,
  level text NOT NULL,
  subject text NOT NULL,                               -- whose money it is
  period text NOT NULL,
  need_tokens bigint NOT NULL,
  need_micro_usd bigint NOT NULL,
  at timestamptz NOT NULL DEFAULT now()
);

-- The budget in force of each period for one subject: its own takes the place of that for each.
CREATE FUNCTION budgets_of(of_level text, of_subject text) RETURNS SETOF budgets LANGUAGE sql STABLE AS $$
  SELECT DISTINCT ON (period) * FROM budgets
  WHERE level = of_level AND subject IN (of_subject, '') ORDER BY period, subject = ''
$$;

-- Tokens and money spent in the current period.
CREATE FUNCTION spent_tokens(s model_spending, period text, today date) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE
    WHEN period = 'total' THEN s.total_tokens
    WHEN period = 'month' AND date_trunc('month', s.day::timestamp) = date_trunc('month', today::timestamp) THEN s.month_tokens
    WHEN period = 'day' AND s.day = today THEN s.day_tokens
    ELSE 0 END
$$;
CREATE FUNCTION spent_micro_usd(s model_spending, period text, today date) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE
    WHEN period = 'total' THEN s.total_micro_usd
    WHEN period = 'month' AND date_trunc('month', s.day::timestamp) = date_trunc('month', today::timestamp) THEN s.month_micro_usd
    WHEN period = 'day' AND s.day = today THEN s.day_micro_usd
    ELSE 0 END
$$;

-- Millionths of a dollar, rounded up: what a call may cost is never said too low.
CREATE FUNCTION micro_usd_of(input_tokens bigint, output_tokens bigint, input_price bigint, output_price bigint)
RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT ceil((input_tokens::numeric * input_price + output_tokens::numeric * output_price) / 1000000)::bigint
$$;

-- Reserves what `calls` may use at most, each only for a run its worker owns: which principal and workflow it counts for
-- is read here and not believed. All counters are locked first, in one order for everybody: any number of these wait for
-- each other and never in a circle. Then calls are decided one after the other. Run again with the same ids it answers
-- the same. `calls`: [{id, runId, step, attempt, model, inputTokens, maxOutputTokens}], `prices`: {model: [input, output]}.
-- Per call: `granted` with the model to use, `pause` or `refused` with the budget that has no room, or `lost`.
CREATE FUNCTION reserve_model_calls(incarnation int, calls jsonb, prices jsonb)
RETURNS TABLE (id uuid, decision text, use_model text, need_tokens bigint, need_micro_usd bigint, budget budgets)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'GMT' AS $$
#variable_conflict use_column
DECLARE
  today date := current_date;
  capped boolean := EXISTS (SELECT FROM budgets);
  call record;
  tried text[];
  cheaper text;
  input_price bigint;
  output_price bigint;
BEGIN
  INSERT INTO model_spending AS s (level, subject, day)
  SELECT DISTINCT k.level, k.subject, today FROM jsonb_array_elements(calls) c
  JOIN run_live l ON l.id = (c ->> 'runId')::uuid JOIN workflows w ON w.id = l.workflow_id
  CROSS JOIN LATERAL (VALUES ('run', l.id::text), ('principal', l.principal_id::text), ('workflow', w.name), ('model', c ->> 'model'))
    AS k(level, subject)
  WHERE l.owner = incarnation
  UNION SELECT 'model', cheaper_model, today FROM budgets WHERE cheaper_model IS NOT NULL
  ORDER BY 1, 2
  -- Locked in this order whether or not a new day has begun.
  ON CONFLICT (level, subject) DO UPDATE SET day = excluded.day, day_tokens = 0, day_micro_usd = 0,
    month_tokens = CASE WHEN date_trunc('month', s.day::timestamp) = date_trunc('month', excluded.day::timestamp) THEN s.month_tokens ELSE 0 END,
    month_micro_usd = CASE WHEN date_trunc('month', s.day::timestamp) = date_trunc('month', excluded.day::timestamp) THEN s.month_micro_usd ELSE 0 END
  WHERE s.day < excluded.day;

  FOR call IN
    SELECT c.id, l.id AS run_id, l.principal_id, w.name AS workflow, c.step, c.attempt, c.model,
           c."inputTokens" AS input_tokens, c."maxOutputTokens" AS output_tokens,
           d.id IS NOT NULL AS known, d.model AS known_model, c.id AS call_id
    FROM ROWS FROM (jsonb_to_recordset(calls) AS (id uuid, "runId" uuid, step text, attempt int, model text, "inputTokens" bigint, "maxOutputTokens" bigint))
         WITH ORDINALITY AS c(id, "runId", step, attempt, model, "inputTokens", "maxOutputTokens", place)
    LEFT JOIN run_live l ON l.id = c."runId" AND l.owner = incarnation
    LEFT JOIN workflows w ON w.id = l.workflow_id
    LEFT JOIN model_calls d ON d.id = c.id
    ORDER BY c.place
  LOOP
    id := call.id;
    use_model := call.model;
    budget := NULL;
    need_tokens := call.input_tokens + call.output_tokens;
    need_micro_usd := NULL;
    IF call.known THEN
      decision := 'granted';
      use_model := call.known_model;
      RETURN NEXT;
      CONTINUE;
    ELSIF call.run_id IS NULL THEN
      decision := 'lost';
      RETURN NEXT;
      CONTINUE;
    END IF;

    tried := ARRAY[call.model];
    LOOP
      input_price := (prices -> use_model ->> 0)::bigint;
      output_price := (prices -> use_model ->> 1)::bigint;
      need_micro_usd := micro_usd_of(call.input_tokens, call.output_tokens, input_price, output_price);
      decision := 'granted';
      EXIT WHEN NOT capped;
      cheaper := NULL;
      FOR budget IN
        SELECT b.* FROM model_spending s CROSS JOIN LATERAL budgets_of(s.level, s.subject) b
        WHERE (s.level, s.subject) IN (('run', call.run_id::text), ('principal', call.principal_id::text), ('workflow', call.workflow), ('model', use_model))
          AND (spent_tokens(s, b.period, s.day) + need_tokens > b.max_tokens
               -- A price that is not known may be any: under a cap in money such a call is not made.
               OR (b.max_micro_usd IS NOT NULL
                   AND coalesce(spent_micro_usd(s, b.period, s.day) + need_micro_usd > b.max_micro_usd, true)))
        -- The last one found is told: rather one that refuses than one that only asks for patience.
        ORDER BY b.at_limit <> 'pause' OR (need_micro_usd IS NULL AND b.max_micro_usd IS NOT NULL), array_position(ARRAY['model', 'workflow', 'principal', 'run'], b.level), b.period
      LOOP
        decision := CASE WHEN budget.at_limit = 'pause' AND (need_micro_usd IS NOT NULL OR budget.max_micro_usd IS NULL) THEN 'pause' ELSE 'refused' END;
        IF budget.cheaper_model <> ALL (tried) THEN cheaper := budget.cheaper_model; END IF;
      END LOOP;
      EXIT WHEN decision = 'granted' OR cheaper IS NULL;
      use_model := cheaper;
      tried := tried || cheaper;
    END LOOP;

    IF decision = 'granted' THEN
      budget := NULL;
      UPDATE model_spending AS s SET
        day_tokens = day_tokens + need_tokens, day_micro_usd = day_micro_usd + coalesce(need_micro_usd, 0),
        month_tokens = month_tokens + need_tokens, month_micro_usd = month_micro_usd + coalesce(need_micro_usd, 0),
        total_tokens = total_tokens + need_tokens, total_micro_usd = total_micro_usd + coalesce(need_micro_usd, 0)
      WHERE (s.level, s.subject) IN (('run', call.run_id::text), ('principal', call.principal_id::text), ('workflow', call.workflow), ('model', use_model));
      INSERT INTO model_calls (id, run_id, owner, step, attempt, principal_id, workflow, model, day, reserved_tokens, reserved_micro_usd, input_price, output_price)
      VALUES (call.id, call.run_id, incarnation, call.step, call.attempt, call.principal_id, call.workflow, use_model, today,
              need_tokens, need_micro_usd, input_price, output_price);
      INSERT INTO model_usage AS u (day, principal_id, workflow, model, calls, unsettled_calls, unpriced_calls, reserved_tokens, reserved_micro_usd)
      VALUES (today, call.principal_id, call.workflow, use_model, 1, 1, (need_micro_usd IS NULL)::int, need_tokens, coalesce(need_micro_usd, 0))
      ON CONFLICT (principal_id, day, workflow, model) DO UPDATE SET calls = u.calls + 1, unsettled_calls = u.unsettled_calls + 1,
        unpriced_calls = u.unpriced_calls + excluded.unpriced_calls, reserved_tokens = u.reserved_tokens + excluded.reserved_tokens,
        reserved_micro_usd = u.reserved_micro_usd + excluded.reserved_micro_usd;
      IF capped THEN DELETE FROM budget_pauses p WHERE p.run_id = call.run_id; END IF;
    ELSIF decision = 'pause' THEN
      INSERT INTO budget_pauses (run_id, level, subject, period, need_tokens, need_micro_usd)
      VALUES (call.run_id, budget.level,
              CASE budget.level WHEN 'run' THEN call.run_id::text WHEN 'principal' THEN call.principal_id::text WHEN 'workflow' THEN call.workflow ELSE use_model END,
              budget.period, need_tokens, coalesce(need_micro_usd, 0))
      ON CONFLICT (run_id) DO UPDATE SET level = excluded.level, subject = excluded.subject, period = excluded.period,
        need_tokens = excluded.need_tokens, need_micro_usd = excluded.need_micro_usd, at = now();
    END IF;
    RETURN NEXT;
  END LOOP;
END $$;

-- Says of calls what they really used, each once and only by the worker that made it. Never fails for what it does not
-- find: the checkpoint it rides in is worth more. `settlements`: [{reservation, owner, inputTokens, outputTokens}].
CREATE FUNCTION settle_model_calls(settlements jsonb) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'GMT' AS $$
DECLARE
  settled model_calls[];
BEGIN
  WITH told AS (
    SELECT DISTINCT ON (reservation) * FROM jsonb_to_recordset(settlements)
      AS t(reservation uuid, owner int, "inputTokens" bigint, "outputTokens" bigint)
    WHERE "inputTokens" >= 0 AND "outputTokens" >= 0
  ),
  written AS (
    UPDATE model_calls c SET settled_at = clock_timestamp(), input_tokens = t."inputTokens", output_tokens = t."outputTokens",
      micro_usd = micro_usd_of(t."inputTokens", t."outputTokens", c.input_price, c.output_price)
    FROM told t WHERE c.id = t.reservation AND c.owner = t.owner AND c.settled_at IS NULL
    RETURNING c AS call
  )
  SELECT array_agg(call) INTO settled FROM written;
  IF settled IS NULL THEN RETURN 0; END IF;

  PERFORM FROM model_spending s
  WHERE (s.level, s.subject) IN (
    SELECT k.level, k.subject FROM unnest(settled) c
    CROSS JOIN LATERAL (VALUES ('run', c.run_id::text), ('principal', c.principal_id::text), ('workflow', c.workflow), ('model', c.model)) AS k(level, subject))
  ORDER BY s.level, s.subject FOR UPDATE;

  UPDATE model_spending s SET
    day_tokens = s.day_tokens + d.day_tokens, day_micro_usd = s.day_micro_usd + d.day_micro_usd,
    month_tokens = s.month_tokens + d.month_tokens, month_micro_usd = s.month_micro_usd + d.month_micro_usd,
    total_tokens = s.total_tokens + d.tokens, total_micro_usd = s.total_micro_usd + d.micro_usd
  FROM (
    SELECT n.level, n.subject, sum(x.tokens) AS tokens, sum(x.micro_usd) AS micro_usd,
           coalesce(sum(x.tokens) FILTER (WHERE c.day = n.day), 0) AS day_tokens,
           coalesce(sum(x.micro_usd) FILTER (WHERE c.day = n.day), 0) AS day_micro_usd,
           coalesce(sum(x.tokens) FILTER (WHERE date_trunc('month', c.day::timestamp) = date_trunc('month', n.day::timestamp)), 0) AS month_tokens,
           coalesce(sum(x.micro_usd) FILTER (WHERE date_trunc('month', c.day::timestamp) = date_trunc('month', n.day::timestamp)), 0) AS month_micro_usd
    FROM unnest(settled) c
    CROSS JOIN LATERAL (VALUES ('run', c.run_id::text), ('principal', c.principal_id::text), ('workflow', c.workflow), ('model', c.model)) AS k(level, subject)
    JOIN model_spending n ON n.level = k.level AND n.subject = k.subject
    CROSS JOIN LATERAL (SELECT c.input_tokens + c.output_tokens - c.reserved_tokens AS tokens,
                               coalesce(c.micro_usd - c.reserved_micro_usd, 0) AS micro_usd) x
    GROUP BY n.level, n.subject
  ) d WHERE s.level = d.level AND s.subject = d.subject;

  UPDATE model_usage u SET unsettled_calls = u.unsettled_calls - d.calls, input_tokens = u.input_tokens + d.input_tokens,
    output_tokens = u.output_tokens + d.output_tokens, micro_usd = u.micro_usd + d.micro_usd,
    reserved_tokens = u.reserved_tokens - d.reserved_tokens, reserved_micro_usd = u.reserved_micro_usd - d.reserved_micro_usd
  FROM (
    SELECT c.day, c.principal_id, c.workflow, c.model, count(*) AS calls, sum(c.input_tokens) AS input_tokens, sum(c.output_tokens) AS output_tokens,
           coalesce(sum(c.micro_usd), 0) AS micro_usd, sum(c.reserved_tokens) AS reserved_tokens, coalesce(sum(c.reserved_micro_usd), 0) AS reserved_micro_usd
    FROM unnest(settled) c GROUP BY c.day, c.principal_id, c.workflow, c.model
  ) d WHERE u.day = d.day AND u.principal_id = d.principal_id AND u.workflow = d.workflow AND u.model = d.model;
  RETURN cardinality(settled);
END $$;

REVOKE ALL ON FUNCTION reserve_model_calls(int, jsonb, jsonb), settle_model_calls(jsonb) FROM PUBLIC;
DO $$
BEGIN
  GRANT SELECT, INSERT, UPDATE, DELETE ON budgets, model_spending, model_calls, model_usage, budget_pauses TO flowstate_app;
  -- A worker reaches none of these tables: it reserves for runs it owns and settles what it reserved.
  GRANT EXECUTE ON FUNCTION reserve_model_calls(int, jsonb, jsonb), settle_model_calls(jsonb) TO flowstate_worker;
EXCEPTION
  WHEN undefined_object OR insufficient_privilege THEN
    RAISE WARNING 'roles are missing: services use the owner''s login';
END $$;
