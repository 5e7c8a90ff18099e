import { styleText } from 'node:util';

/** Markdown for a terminal: headings and emphasis become bold where colours are on, columns of tables line up. */
export function readableMarkdown(text: string, colour: boolean): string {
  const bold = (part: string): string => (colour ? styleText('bold', part, { validateStream: false }) : part);
  return text
    .replaceAll(/(?:^\|.*\|[ \t]*$\n?)+/gm, (table) => `${alignedTable(table.trimEnd())}\n`)
    .split('\n')
    .map((line) => {
      const heading = /^#{1,6}\s+(.*)$/.exec(line);
      if (heading) return bold(heading[1] ?? '');
      return line.replaceAll(/\*\*(.+?)\*\*/g, (_, part: string) => bold(part));
    })
    .join('\n');
}

function alignedTable(table: string): string {
  const rows = table.split('\n').map((line) =>
    line
      .trim()
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  );
  const isRule = (row: readonly string[]): boolean => row.every((cell) => /^:?-+:?$/.test(cell));
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.filter((row) => !isRule(row)).map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (isRule(row) ? '─'.repeat(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join('  ');
  return rows.map((row) => line(row).trimEnd()).join('\n');
}
