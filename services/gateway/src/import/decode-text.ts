import { invalidInput } from '@flowstate/contracts';

/**
 * Bytes as text, without a byte-order mark. Throws `invalid_input` naming the line on which the first byte stands
 * that is not of the encoding; the text before it was given out already.
 */
export async function* decodeText(source: AsyncIterable<Uint8Array>, encoding: string): AsyncGenerator<string> {
  const decoder = new TextDecoder(encoding, { fatal: true });
  let line = 1;
  for await (const bytes of source) {
    const text = decode(
      () => decoder.decode(bytes, { stream: true }),
      () => line + linesBeforeFault(bytes, encoding),
      encoding,
    );
    line += countLines(text);
    if (text !== '') yield text;
  }
  const rest = decode(
    () => decoder.decode(),
    () => line,
    encoding,
  );
  if (rest !== '') yield rest;
}

function decode(read: () => string, faultyLine: () => number, encoding: string): string {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    const message = `has bytes on line ${faultyLine()} that are not ${encoding}: save it as UTF-8 or name its charset in the content type`;
    throw invalidInput([{ field: 'file', message }]);
  }
}

/** Lines of a chunk before its first fault. Its first bytes may continue a character of the chunk before. */
function linesBeforeFault(bytes: Uint8Array, encoding: string): number {
  const isContinuation = (byte: number) => (byte & 0b1100_0000) === 0b1000_0000;
  const begin = bytes.findIndex((byte, at) => at === 3 || !isContinuation(byte));
  const text = new TextDecoder(encoding).decode(bytes.subarray(Math.max(begin, 0)));
  const fault = text.indexOf('\uFFFD');
  return fault === -1 ? 0 : countLines(text.slice(0, fault));
}

function countLines(text: string): number {
  let count = 0;
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) count += 1;
  return count;
}
