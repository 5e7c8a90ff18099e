const defaultEndpoint = 'http://localhost:4318/v1/traces';

/** Where spans go: the variable may name the collector's base (as the OTLP standard says) or the full path. */
export function traceEndpoint(value: string | undefined): string {
  if (value === undefined || value === '') return defaultEndpoint;
  const base = value.replace(/\/+$/, '');
  return base.endsWith('/v1/traces') ? base : `${base}/v1/traces`;
}
