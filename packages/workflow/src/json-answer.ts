/** The JSON a model answered with, also where it put it between fences or words; undefined when there is none. */
export function readJson(text: string): unknown {
  const [, fenced] = /```(?:json)?\s*\n([\s\S]*?)```/.exec(text) ?? [];
  const braced = text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1);
  for (const candidate of [text, fenced, braced]) {
    if (candidate === undefined || candidate.trim() === '') continue;
    try {
      return JSON.parse(candidate) as unknown;
    } catch {
      // the next one
    }
  }
  return undefined;
}
