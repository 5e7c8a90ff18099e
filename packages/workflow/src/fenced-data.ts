/**
 * Text for a model that is data and no instruction, whatever stands in it: JSON between tags that nothing inside can
 * close, since every `<` is escaped. For what tools answer and for what was retrieved, wherever a prompt shows it.
 */
export function fencedData(source: string, data: unknown): string {
  const json = (JSON.stringify(data) ?? 'null').replaceAll('<', '\\u003c');
  return `<data source="${encodeURIComponent(source)}">\n${json}\n</data>`;
}
