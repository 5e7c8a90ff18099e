/** pgvector's text form, of the numbers as they are. */
export function toVector(embedding: ArrayLike<number>): string {
  return `[${Array.prototype.join.call(embedding)}]`;
}

const digits = 9;
const scale = 10 ** digits;
/** Of an embedding whose largest number is smaller, too little would be left. */
const least = scale / 1000;
const [minus, comma, point, zero, one] = Buffer.from('-,.01') as unknown as [number, number, number, number, number];

let text = Buffer.allocUnsafe(16 * 1024);

/**
 * The same of a query, rounded to nine decimals: less than single precision, which is what pgvector reads, can tell at
 * a length of 1. Searching by a given embedding spends most of its time here in writing down numbers, and the digits of
 * a whole one cost a seventh of those of a fraction.
 */
export function queryVector(embedding: ArrayLike<number>): string {
  const room = embedding.length * (digits + 4) + 2;
  if (text.length < room) text = Buffer.allocUnsafe(room);
  let at = 0;
  let largest = 0;
  for (let i = 0; i < embedding.length; i += 1) {
    const value = embedding[i] as number;
    let rest = Math.round(Math.abs(value) * scale);
    if (!(rest < 2 * scale)) return toVector(embedding);
    if (rest > largest) largest = rest;
    if (i > 0) text[at++] = comma;
    if (value < 0) text[at++] = minus;
    if (rest >= scale) {
      text[at++] = one;
      rest -= scale;
    }
    text[at++] = point;
    for (let place = at + digits - 1; place >= at; place -= 1) {
      const tenth = Math.trunc(rest / 10);
      text[place] = zero + rest - tenth * 10;
      rest = tenth;
    }
    at += digits;
  }
  return largest < least ? toVector(embedding) : `[${text.toString('latin1', 0, at)}]`;
}
