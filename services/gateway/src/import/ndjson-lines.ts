import { isUtf8 } from 'node:buffer';
import { maxRowLength } from '@flowstate/contracts';

/** A line without its end, or why it cannot be read. */
type NdjsonLine = string | { fault: string };

const lineEnd = 0x0a;
const tooLong = { fault: `is longer than ${maxRowLength} characters` };
const notUtf8 = { fault: 'has bytes that are not UTF-8' };
/** No character takes more bytes for each of its code units. */
const maxBytes = 3 * maxRowLength;

/**
 * Lines of UTF-8, without a byte-order mark. One that is too long, of which no more than that is ever kept, or has other
 * bytes is faulty alone.
 */
export async function* ndjsonLines(source: AsyncIterable<Uint8Array>): AsyncGenerator<NdjsonLine> {
  let begun = beginLine();
  let first = true;
  for await (const chunk of source) {
    const end = chunk.lastIndexOf(lineEnd);
    if (end !== -1) {
      for (const line of linesIn(begun, chunk.subarray(0, end))) {
        yield first ? withoutMark(line) : line;
        first = false;
      }
      begun = beginLine();
    }
    begun.take(chunk.subarray(end + 1));
  }
  if (begun.faulty()) yield tooLong;
  else for (const line of linesIn(begun, new Uint8Array())) if (line !== '') yield first ? withoutMark(line) : line;
}

/** What has come of a line so far. */
function beginLine() {
  let parts: Uint8Array[] = [];
  let length = 0;
  return {
    take(bytes: Uint8Array) {
      length += bytes.length;
      if (length > maxBytes) parts = [];
      else parts.push(bytes);
    },
    faulty: () => length > maxBytes,
    parts: () => parts,
  };
}

function* linesIn(begun: ReturnType<typeof beginLine>, bytes: Uint8Array): Generator<NdjsonLine> {
  let block = Buffer.concat([...begun.parts(), bytes]);
  if (begun.faulty()) {
    yield tooLong;
    const end = block.indexOf(lineEnd);
    if (end === -1) return;
    block = block.subarray(end + 1);
  }
  // All at once where all is well, which is fast.
  const lines = isUtf8(block) ? block.toString().split('\n') : eachOf(block);
  for (const line of lines) yield typeof line === 'string' && line.length > maxRowLength ? tooLong : line;
}

function* eachOf(block: Buffer): Generator<NdjsonLine> {
  for (let at = 0; at <= block.length;) {
    const next = block.indexOf(lineEnd, at);
    const end = next === -1 ? block.length : next;
    const line = block.subarray(at, end);
    yield isUtf8(line) ? line.toString() : notUtf8;
    at = end + 1;
  }
}

function withoutMark(line: NdjsonLine): NdjsonLine {
  return typeof line === 'string' ? line.replace(/^\uFEFF/, '') : line;
}
