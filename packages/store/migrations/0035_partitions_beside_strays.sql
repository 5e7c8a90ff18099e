-- As before (0010, 0012), but a week or month of which rows lie in the default partition stays there, as happens where
-- nobody made partitions ahead for so long: it can have none of its own any more, and keeps no later one from its own.
-- Such rows are deleted one by one when their time has come, instead of with their partition.
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
      BEGIN
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', child, parent,
                       uuidv7_floor(week), uuidv7_floor(week + interval '1 week'));
      EXCEPTION WHEN check_violation THEN
        RAISE NOTICE '% has rows in the default partition', child;
      END;
    END LOOP;
  END LOOP;
END $$;

CREATE OR REPLACE FUNCTION ensure_audit_partitions(months_ahead int DEFAULT 2) RETURNS void LANGUAGE plpgsql
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
    BEGIN
      EXECUTE format('CREATE TABLE %I PARTITION OF audit_log FOR VALUES FROM (%L) TO (%L)', child, month,
                     month + interval '1 month');
    EXCEPTION WHEN check_violation THEN
      RAISE NOTICE '% has rows in the default partition', child;
    END;
  END LOOP;
END $$;
