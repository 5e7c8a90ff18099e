-- What a run sends, acting for somebody, is no person's decision: a wait for an approval passes over it.
ALTER TABLE run_inbox ADD COLUMN by_run uuid;          -- the run that sent it, if it was one
