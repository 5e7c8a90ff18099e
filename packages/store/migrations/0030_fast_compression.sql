-- What is over 2 KB in a row is compressed in it: by lz4 at a tenth of the time that Postgres' own way takes, where the
-- server has it. What was written before stays as it is. Partitions made later take it from their parent.
DO $$
DECLARE
  col record;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)) THEN
    RETURN;
  END IF;
  FOR col IN
    SELECT a.attrelid::regclass AS name, a.attname
    FROM ledger_tables l
    JOIN LATERAL (
      SELECT l.name::regclass AS oid UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = l.name::regclass
    ) r ON true
    JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE a.atttypid = 'text'::regtype
  LOOP
    EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET COMPRESSION lz4', col.name, col.attname);
  END LOOP;
END $$;
