/** The six roles a principal can have. `agent` is a person (an account agent), not a program. */
export const roles = ['admin', 'manager', 'analyst', 'agent', 'integration', 'service'] as const;

export type Role = (typeof roles)[number];

/** Who may start runs, by hand or by a schedule. */
export const runStarters: readonly Role[] = ['admin', 'manager', 'agent', 'integration', 'service'];
