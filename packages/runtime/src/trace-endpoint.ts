/** Where spans go: the setting may name the collector's base (as the OTLP standard says) or the full path. */
export function traceEndpoint(value: string): string {
  const base = value.replace(/\/+$/, '');
  return base.endsWith('/v1/traces') ? base : `${base}/v1/traces`;
}

/** Why nothing can be sent to this address; null: it can be tried. */
export function endpointFault(value: string): string | null {
  const url = URL.parse(value);
  if (url === null) return 'is no address such as http://localhost:4318';
  if (!/^https?:$/.test(url.protocol)) return `must begin with http:// or https://, not ${url.protocol}`;
  if (url.username !== '' || url.password !== '')
    return 'must not hold a login (OTEL_EXPORTER_OTLP_HEADERS carries one)';
  return null;
}
