import { FlowstateError, invalidInput, maxJsonBytes } from '@flowstate/contracts';
import { ndjsonLines } from './ndjson-lines.ts';
import type { SourceRow } from './source-row.ts';

/** Rows of newline-delimited JSON in UTF-8; empty lines are passed over, a line that is no JSON object is faulty alone. */
export async function* ndjsonRows(source: AsyncIterable<Uint8Array>): AsyncGenerator<SourceRow> {
  let line = 0;
  for await (const content of ndjsonLines(source)) {
    line += 1;
    if (typeof content !== 'string') yield faulty(line, content.fault);
    else if (content.trim() !== '') yield toRow(line, content);
  }
}

function toRow(line: number, content: string): SourceRow {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    return faulty(line, 'is not JSON');
  }
  return isObject(value) ? { line, size: content.length, cells: value } : faulty(line, 'is not a JSON object');
}

/** Elements of one JSON array, which is read whole; `line` counts them from 1. Throws `invalid_input` if it is none. */
export async function* jsonRows(text: AsyncIterable<string>): AsyncGenerator<SourceRow> {
  let json = '';
  for await (const chunk of text) {
    json += chunk;
    if (json.length > maxJsonBytes) {
      throw new FlowstateError(
        'payload_too_large',
        `A JSON array may have ${maxJsonBytes} bytes; send more as NDJSON or CSV`,
      );
    }
  }
  let array: unknown;
  try {
    array = JSON.parse(json);
  } catch (error) {
    throw invalidInput([{ field: 'file', message: `is not JSON: ${(error as Error).message}` }]);
  }
  if (!Array.isArray(array)) throw invalidInput([{ field: 'file', message: 'must be an array of rows' }]);
  for (const [index, value] of (array as unknown[]).entries()) {
    const line = index + 1;
    yield isObject(value)
      ? { line, size: json.length / array.length, cells: value }
      : faulty(line, 'is not a JSON object');
  }
}

function faulty(line: number, message: string): SourceRow {
  return { line, size: 0, errors: [{ field: 'row', message }] };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
