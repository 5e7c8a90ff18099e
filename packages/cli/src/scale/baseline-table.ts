/** What one process of each kind was seen to do, at one time: what the next plan starts from. */
export type Baseline = {
  at: Date;
  version: string;
  requestsPerSecond: number;
  /** By one core of a gateway; null: too few were asked for to say. */
  requestsPerGatewayCore: number | null;
  p95Ms: number | null;
  runsPerSecond: number;
  runsPerWorkerCore: number | null;
  serviceSeconds: number | null;
  gatewayMiB: number;
  workerMiB: number;
  cacheHits: number | null;
};

const begin = '<!-- baselines -->';
const end = '<!-- /baselines -->';
/** Older ones stand in the history of the file. */
const most = 12;

const columns = [
  'date',
  'version',
  'requests/s',
  'a gateway core',
  'p95',
  'runs/s',
  'a worker core',
  'place held',
  'gateway',
  'worker',
  'cache hits',
];

/** The row as the runbook has it. */
export function baselineRow(baseline: Baseline): string {
  const figure = (value: number | null, unit: string, digits = 0) =>
    value === null ? '–' : `${value.toFixed(digits)}${unit}`;
  const cells = [
    baseline.at.toISOString().slice(0, 10),
    baseline.version,
    figure(baseline.requestsPerSecond, '', 1),
    figure(baseline.requestsPerGatewayCore, '/s'),
    figure(baseline.p95Ms, ' ms'),
    figure(baseline.runsPerSecond, '', 1),
    figure(baseline.runsPerWorkerCore, '/s'),
    figure(baseline.serviceSeconds, ' s', 2),
    figure(baseline.gatewayMiB, ' MiB'),
    figure(baseline.workerMiB, ' MiB'),
    figure(baseline.cacheHits === null ? null : baseline.cacheHits * 100, ' %'),
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '/')).join(' | ')} |`;
}

/**
 * A runbook's text with one more baseline, the newest first, between its `<!-- baselines -->` marks. Throws an `Error`
 * where it has none.
 */
export function withBaseline(text: string, baseline: Baseline): string {
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`it has no place for them: ${begin} … ${end}`);
  const earlier = text
    .slice(from, to)
    .split('\n')
    .filter((line) => /^\| *\d{4}-\d{2}-\d{2} /.test(line));
  const head = [`| ${columns.join(' | ')} |`, `|${' --- |'.repeat(columns.length)}`];
  const rows = [baselineRow(baseline), ...earlier].slice(0, most);
  return `${text.slice(0, from)}${begin}\n\n${[...head, ...rows].join('\n')}\n\n${text.slice(to)}`;
}
