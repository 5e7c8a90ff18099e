-- What each service may touch. Login roles are made by whoever deploys and become members of these two.
-- Without the right to create roles (a managed database, say) the services use the owner's login, and say so.

-- Partitions are made by the controller, which owns nothing.
ALTER FUNCTION ensure_ledger_partitions(int) SECURITY DEFINER SET search_path = public, pg_temp;

DO $$
DECLARE
  role text;
BEGIN
  FOREACH role IN ARRAY ARRAY['flowstate_app', 'flowstate_worker'] LOOP
    BEGIN
      EXECUTE format('CREATE ROLE %I NOLOGIN', role);
    EXCEPTION
      WHEN duplicate_object OR unique_violation THEN NULL; -- another database of this server has them already
    END;
  END LOOP;

  -- Gateway and controller.
  GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO flowstate_app;
  REVOKE INSERT, UPDATE, DELETE ON schema_migrations FROM flowstate_app;

  -- Workers reach the ledger and nothing else: a worker taken over reads no user, key, session or customer, and
  -- cannot start a run in anybody's name (no INSERT on runs and run_live).
  GRANT SELECT ON schema_migrations, runs, workflows, run_live, run_journal, run_ends, workers TO flowstate_worker;
  GRANT INSERT, UPDATE ON workers, workflows TO flowstate_worker;
  GRANT UPDATE, DELETE ON run_live TO flowstate_worker;
  GRANT INSERT ON run_journal, run_ends TO flowstate_worker;
EXCEPTION
  WHEN insufficient_privilege THEN
    RAISE WARNING 'no right to create roles: services will use the owner''s login';
END $$;
