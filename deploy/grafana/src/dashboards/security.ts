import { flowstateDashboard } from '../flowstate-dashboard.ts';
import { graph } from '../panels.ts';

/** Who is refused, what was lost, and what grows old. */
export const security = flowstateDashboard('security', 'security')
  .withPanel(
    graph('Failed authentications', {
      says: 'A minute, by reason. session_mismatch, refresh_reused and killed_kid are no slips of a tired user',
      unit: 'short',
      queries: [['sum by (reason) (rate(auth_failures_total[$__rate_interval])) * 60', '{{reason}}']],
    }),
  )
  .withPanel(
    graph('Refusals on restricted routes', {
      says: '403 a minute, by role and route',
      unit: 'short',
      queries: [
        [
          'sum by (role, route) (rate(http_requests_errors_total{restricted="true", status_code="403"}[$__rate_interval])) * 60',
          '{{role}} {{route}}',
        ],
      ],
    }),
  )
  .withPanel(
    graph('Tokens by signing key', {
      says: 'A key that is to be retired must be used no more',
      unit: 'reqps',
      queries: [['sum by (kid) (rate(auth_tokens_verified_total[$__rate_interval]))', '{{kid}}']],
    }),
  )
  .withPanel(
    graph('Entries and lines lost', {
      says: 'Audit entries that the database never took, and log lines that a sink never took',
      unit: 'short',
      queries: [
        ['sum(increase(audit_lost_total[$__rate_interval]))', 'audit entries'],
        ['sum by (job, sink) (increase(log_sink_lost_total[$__rate_interval]))', '{{job}} {{sink}}'],
      ],
    }),
  )
  .withPanel(
    graph('Audit entries sealed', {
      says: 'In the hash chain; a line that ends is a controller that does not seal',
      unit: 'short',
      queries: [['max(audit_sealed_entries)', 'sealed']],
    }),
  )
  .withPanel(
    graph('Age of secrets', {
      says: 'As a share of how old each may become',
      unit: 'percentunit',
      queries: [
        [
          'max by (secret) (flowstate_secret_age_seconds) / max by (secret) (flowstate_secret_max_age_seconds)',
          '{{secret}}',
        ],
      ],
    }),
  )
  .withPanel(
    graph('Rehearsals of a rotation', {
      says: 'Whether the last one passed, whether one is overdue',
      unit: 'short',
      queries: [
        ['min(flowstate_rotation_rehearsal_passed)', 'passed'],
        ['max(flowstate_rotation_rehearsal_overdue)', 'overdue'],
      ],
    }),
  )
  .withPanel(
    graph('Time since the last rehearsal', {
      says: 'flowstate keys rehearse makes one now',
      unit: 's',
      queries: [['min(flowstate_rotation_rehearsal_age_seconds)', 'age']],
    }),
  );
