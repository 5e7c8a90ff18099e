// Controls, line separators and bidirectional overrides: they break lines, hide text or turn it around.
const unwanted = /[\p{Cc}\u2028\u2029\u202A-\u202E\u2066-\u2069\u200E\u200F\uFEFF]+/gu;
const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });
const sentences = new Intl.Segmenter('en', { granularity: 'sentence' });

/** Text on one line, without controls and without half characters, cut to `max` visible characters. */
export function oneLine(text: string, max = 160): string {
  // A visible character may take many code units; nobody writes one of more than sixteen.
  const line = text
    .slice(0, max * 16)
    .toWellFormed()
    .replaceAll(unwanted, ' ')
    .replaceAll(/\s+/g, ' ')
    .trim();
  const characters = [...graphemes.segment(line)];
  if (characters.length <= max) return line;
  const cut = characters.slice(0, max - 1).map(({ segment }) => segment);
  return `${cut.join('').trimEnd()}…`;
}

/** The sentences of a text, each a part of it as it stands, without surrounding white space. */
export function sentencesOf(text: string): string[] {
  const found: string[] = [];
  for (const line of text.split(/[\r\n\u2028\u2029]+/)) {
    let begun = '';
    for (const { segment } of sentences.segment(line)) {
      begun += segment;
      // `?page=2` and `v1.Next` go on without a space: that was no end.
      if (/[.?!]$/.test(segment)) continue;
      if (begun.trim() !== '') found.push(begun.trim());
      begun = '';
    }
    if (begun.trim() !== '') found.push(begun.trim());
  }
  return found;
}

/** A message as its author wrote it: without the earlier mail quoted below it, at most `max` code units of it. */
export function withoutQuotedReply(text: string, max: number): string {
  const kept: string[] = [];
  for (const line of text.slice(0, max).split(/\r?\n/)) {
    if (/^\s*-{2,}\s*(original message|forwarded message)/i.test(line)) break;
    if (!/^\s*>/.test(line)) kept.push(line);
  }
  return kept.join('\n');
}
