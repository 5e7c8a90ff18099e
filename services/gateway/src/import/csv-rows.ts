import { pipeline } from 'node:stream';
import { invalidInput, maxRowLength } from '@flowstate/contracts';
import { CsvError, parse, type Info, type Options } from 'csv-parse';
import { parse as parseSync } from 'csv-parse/sync';
import type { SourceRow } from './source-row.ts';

type Parsed = { record: string[]; raw: string; line: number };

/**
 * Rows of a CSV file (RFC 4180, any line ending). `checkHeader` sees the columns before the first row and may throw.
 * A row with too few or too many cells or wrong quotes is faulty alone; a quote that is never closed and a row that is
 * too long end the file: throws `invalid_input` naming the line on which that row begins.
 */
export async function* csvRows(
  text: AsyncIterable<string>,
  delimiter: string,
  checkHeader: (columns: string[]) => void,
): AsyncGenerator<SourceRow> {
  let columns: string[] | undefined;
  let line = 1;
  const parser = parse({
    ...dialect(delimiter),
    // Quotes are taken as they come here and judged per row below: the parser's own refusal loses the rows after it.
    relax_quotes: true,
    relax_column_count: true,
    raw: true,
    max_record_size: maxRowLength,
    // Counted where rows are parsed, so that after a fault it is the faulty row's; the parser's own count takes CRLF
    // in quotes for two.
    on_record: ({ record, raw }: Omit<Parsed, 'line'>) => {
      const begin = line;
      line += 1 + record.reduce((sum, cell) => sum + (cell.match(/\r\n|\n|\r/g)?.length ?? 0), 0);
      return { record, raw, line: begin };
    },
  } as unknown as Options);
  // Either end takes the other with it; what failed is thrown where the rows are read.
  pipeline(text, parser, () => {});
  try {
    for await (const { record, raw, line: begin } of parser as AsyncIterable<Parsed>) {
      if (record.length === 1 && record[0]?.trim() === '') continue;
      if (columns === undefined) {
        columns = record.map((name) => name.trim());
        checkNames(columns);
        checkHeader(columns);
        continue;
      }
      yield toRow(columns, record, raw, begin, delimiter);
    }
  } catch (error) {
    if (error instanceof CsvError) throw invalidInput([{ field: 'file', message: faultOf(error, line) }]);
    throw error;
  }
  if (columns === undefined) throw invalidInput([{ field: 'file', message: 'is empty' }]);
}

function dialect(delimiter: string): Options {
  return { delimiter, record_delimiter: ['\r\n', '\n', '\r'] };
}

function toRow(columns: string[], record: string[], raw: string, line: number, delimiter: string): SourceRow {
  const size = raw.length;
  if (!isWellQuoted(record, raw, delimiter)) {
    return {
      line,
      size,
      errors: [{ field: 'row', message: 'has text after a closing quote; quotes within quotes are doubled' }],
    };
  }
  if (record.length !== columns.length) {
    const message = `has ${record.length} cells where the header has ${columns.length}`;
    return { line, size, errors: [{ field: 'row', message }] };
  }
  return { line, size, cells: Object.fromEntries(columns.map((column, i) => [column, record[i]])) };
}

/** A cell that kept its opening quote is either a quotation written as it should be (`"""so"""`) or malformed. */
function isWellQuoted(record: string[], raw: string, delimiter: string): boolean {
  if (!record.some((cell) => cell.startsWith('"'))) return true;
  try {
    parseSync(raw, { ...dialect(delimiter), relax_column_count: true });
    return true;
  } catch {
    return false;
  }
}

function checkNames(columns: string[]): void {
  const errors = columns.flatMap((name, i) => {
    if (name === '') return [{ field: `column ${i + 1}`, message: 'has no name in the header' }];
    return columns.indexOf(name) < i ? [{ field: name, message: 'is in the header twice' }] : [];
  });
  if (errors.length > 0) throw invalidInput(errors);
}

function faultOf(error: CsvError & Partial<Info>, line: number): string {
  if (error.code === 'CSV_QUOTE_NOT_CLOSED') return `has a quote in the row on line ${line} that is never closed`;
  if (error.code === 'CSV_MAX_RECORD_SIZE') {
    return `has a row on line ${line} of more than ${maxRowLength} characters: is a quote not closed?`;
  }
  return `cannot be read as CSV from line ${line} on: ${error.message}`;
}
