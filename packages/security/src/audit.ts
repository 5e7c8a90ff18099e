export type AuditEntry = {
  /** What was done, e.g. `access.locked`. */
  action: string;
  /** The principal's id; null when nobody proved to be anybody. */
  actor: string | null;
  /** To whom or what. */
  subject?: string;
  outcome: 'success' | 'denied' | 'failed';
  details?: Record<string, unknown>;
};

/** Where security-relevant acts are recorded. Never waited for, never fails a request. */
export type Audit = { record(entry: AuditEntry): void };

/** Who changes something: a user, or (null) somebody with the stores' addresses; `details` tell more of them. */
export type Operator = { id: string | null; details?: Record<string, unknown> };
