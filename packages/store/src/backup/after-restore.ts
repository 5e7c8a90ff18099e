/**
 * What a restored database needs before services start on it, in the transaction that restored it. It goes back in time,
 * and nothing else does: whoever still lives, and whatever Redis still holds, is of a later time than the ledger.
 * - Numbers that are never used again jump ahead of all that were given out after the backup: a worker or gateway that
 *   was forgotten somewhere finds itself fenced, a job that Redis remembers as done hides no delivery.
 * - Runs that somebody held stand in line again, without a crash on their account. What was finished stays finished;
 *   an unsafe step that had begun is in doubt, and the run parks when it is claimed.
 * - The policy epoch rises, so that every decision made meanwhile is made anew.
 */
export const afterRestore = `
SET search_path = public;
UPDATE workers SET ended_at = now() WHERE ended_at IS NULL;
UPDATE gateways SET ended_at = now() WHERE ended_at IS NULL;
SELECT setval(pg_get_serial_sequence('workers', 'id'), nextval(pg_get_serial_sequence('workers', 'id')) + 1000000);
SELECT setval(pg_get_serial_sequence('gateways', 'id'), nextval(pg_get_serial_sequence('gateways', 'id')) + 1000000);
SELECT setval('collection_changes', nextval('collection_changes') + 1000000);
SELECT setval(s, nextval(s) + 1000000) FROM to_regclass('query_generations') s WHERE s IS NOT NULL;
UPDATE run_live SET
  owner = NULL,
  dispatch = dispatch + 1000,
  state = CASE state WHEN 'running' THEN 'queued' ELSE state END,
  due_at = CASE WHEN state = 'running' OR (state = 'queued' AND (owner IS NOT NULL OR due_at IS NULL))
    THEN now() ELSE due_at END;
UPDATE policy SET epoch = epoch + 1000000;
SELECT ensure_ledger_partitions();
`;

/** Roles that a dump's grants name: they belong to the server, and a new one has none. */
export const beforeRestore = `
DO $$
DECLARE
  role text;
BEGIN
  FOREACH role IN ARRAY ARRAY['flowstate_app', 'flowstate_worker'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN EXECUTE format('CREATE ROLE %I NOLOGIN', role); END IF;
  END LOOP;
END $$;
`;
