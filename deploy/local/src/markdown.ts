import { styleText } from 'node:util';

/** Markdown for a terminal: headings and emphasis become bold where colours are on; the rest reads as it is. */
export function readableMarkdown(text: string, colour: boolean): string {
  const bold = (part: string): string => (colour ? styleText('bold', part, { validateStream: false }) : part);
  return text
    .split('\n')
    .map((line) => {
      const heading = /^#{1,6}\s+(.*)$/.exec(line);
      if (heading) return bold(heading[1] ?? '');
      return line.replaceAll(/\*\*(.+?)\*\*/g, (_, part: string) => bold(part));
    })
    .join('\n');
}
