/** Where spans go: the setting may name the collector's base (as the OTLP standard says) or the full path. */
export function traceEndpoint(value: string): string {
  const base = value.replace(/\/+$/, '');
  return base.endsWith('/v1/traces') ? base : `${base}/v1/traces`;
}
