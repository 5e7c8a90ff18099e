import { flowstateDashboard } from '../flowstate-dashboard.ts';
import { figure, graph } from '../panels.ts';

/** Is it well? What whoever was woken looks at first. */
export const overview = flowstateDashboard('overview', 'overview')
  .withPanel(
    figure('Latency, 95 %', {
      says: 'Of all requests but health checks, scrapes, streams and waiting ones',
      unit: 's',
      queries: [['http_request_duration_seconds{quantile="0.95"}', '95 %']],
    }),
  )
  .withPanel(
    figure('Requests that fail', {
      says: 'Share of answers 5xx within five minutes',
      unit: 'percentunit',
      queries: [['flowstate:http_errors:ratio_rate5m', 'failed']],
    }),
  )
  .withPanel(
    figure('Error budget left', {
      says: 'Of 0.1 % of requests in three days',
      unit: 'percentunit',
      queries: [['1 - flowstate:http_errors:ratio_rate3d / 0.001', 'left']],
    }),
  )
  .withPanel(
    figure('Requests', {
      says: 'A second, on all gateways',
      unit: 'reqps',
      queries: [['sum(flowstate:http_requests:rate5m)', 'requests']],
    }),
  )
  .withPanel(
    figure('Oldest run that waits', {
      says: 'More than a minute: too few workers, or none that carry it',
      unit: 's',
      queries: [['max(flowstate_queue_oldest_age_seconds)', 'oldest']],
    }),
  )
  .withPanel(
    figure('Processes up', {
      says: 'That Prometheus can scrape',
      unit: 'short',
      queries: [['sum by (job) (up{job=~"gateway|worker|controller"})', '{{job}}']],
    }),
  )
  .withPanel(
    graph('Latency', {
      says: 'Up: look at the cache and at match_documents on the search dashboard, then at the slowest route',
      unit: 's',
      queries: [['http_request_duration_seconds{quantile=~"0.5|0.95"}', '{{quantile}}']],
    }),
  )
  .withPanel(
    graph('Latency by route, 95 %', {
      says: 'The slowest ten',
      unit: 's',
      queries: [
        [
          'topk(10, histogram_quantile(0.95, sum by (route, le) (rate(http_request_duration_seconds_bucket[$__rate_interval]))))',
          '{{route}}',
        ],
      ],
    }),
  )
  .withPanel(
    graph('Requests by route', {
      says: 'The busiest ten',
      unit: 'reqps',
      queries: [['topk(10, flowstate:http_requests:rate5m)', '{{route}}']],
    }),
  )
  .withPanel(
    graph('Answers that refuse or fail', {
      says: 'Status 400 and above',
      unit: 'reqps',
      queries: [
        [
          'sum by (status_code, route) (rate(http_requests_errors_total[$__rate_interval]))',
          '{{status_code}} {{route}}',
        ],
      ],
    }),
  )
  .withPanel(
    graph('Requests being answered', {
      says: 'With latency up: what waits. Event streams by themselves',
      unit: 'short',
      queries: [
        ['sum by (instance) (http_requests_active)', '{{instance}}'],
        ['sum(sse_streams_active)', 'event streams'],
      ],
    }),
  )
  .withPanel(
    graph('Synthetic checks', {
      says: 'Health, readiness and metrics as seen from outside: 1 is well',
      unit: 'short',
      queries: [['min by (instance) (probe_success)', '{{instance}}']],
    }),
  );
