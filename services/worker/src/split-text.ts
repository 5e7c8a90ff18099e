/** A part of a text; `begin` and `length` in code points, as Postgres counts. */
type TextPart = { begin: number; length: number; text: string };

/** Tokens of one part at most: a small model (MiniLM) reads 256, of which the title takes some. */
const maxTokens = 200;
/** Tokens a part repeats of the one before, so that what spans two sentences is found. */
const overlapTokens = 40;

const sentences = new Intl.Segmenter(undefined, { granularity: 'sentence' });
const words = new Intl.Segmenter(undefined, { granularity: 'word' });

type Piece = { begin: number; length: number; text: string; tokens: number };

/**
 * Cuts a text between sentences into parts that the model reads whole; each begins with the last sentences of the one
 * before, as far as they are short. A sentence that is too long is cut between words, a word between characters.
 */
export function splitText(text: string): TextPart[] {
  const parts: TextPart[] = [];
  let current: Piece[] = [];
  let tokens = 0;
  for (const piece of piecesOf(text)) {
    if (tokens + piece.tokens > maxTokens && current.length > 0) {
      parts.push(joined(current));
      // Repeating must leave room for the piece: else it would be no progress.
      current = lastOf(current, Math.min(overlapTokens, maxTokens - piece.tokens));
      tokens = current.reduce((sum, { tokens: more }) => sum + more, 0);
    }
    current.push(piece);
    tokens += piece.tokens;
  }
  if (current.length > 0) parts.push(joined(current));
  return parts;
}

/** As many of the last pieces as have no more than `most` tokens together. */
function lastOf(pieces: Piece[], most: number): Piece[] {
  let from = pieces.length;
  for (let sum = 0; from > 0; from -= 1) {
    sum += pieces[from - 1]?.tokens ?? 0;
    if (sum > most) break;
  }
  return pieces.slice(from);
}

function joined(pieces: Piece[]): TextPart {
  return {
    begin: pieces[0]?.begin ?? 0,
    length: pieces.reduce((sum, piece) => sum + piece.length, 0),
    text: pieces.map((piece) => piece.text).join(''),
  };
}

/** Consecutive pieces that make up the whole text, none larger than a part. */
function* piecesOf(text: string): Generator<Piece> {
  let begin = 0;
  for (const piece of shortEnough(text)) {
    const length = codePoints(piece);
    yield { begin, length, text: piece, tokens: tokensOf(piece) };
    begin += length;
  }
}

function* shortEnough(text: string): Generator<string> {
  for (const { segment: sentence } of sentences.segment(text)) {
    if (tokensOf(sentence) <= maxTokens) yield sentence;
    else yield* cutSentence(sentence);
  }
}

function* cutSentence(sentence: string): Generator<string> {
  let piece = '';
  let tokens = 0;
  for (const { segment: word } of words.segment(sentence)) {
    for (const bit of tokensOf(word) <= overlapTokens ? [word] : word) {
      const more = tokensOf(bit);
      // Small, so that the overlap can repeat one.
      if (tokens + more > overlapTokens && piece !== '') {
        yield piece;
        piece = '';
        tokens = 0;
      }
      piece += bit;
      tokens += more;
    }
  }
  if (piece !== '') yield piece;
}

/** An estimate on the safe side: some three letters of Latin script a token, one character of others. */
function tokensOf(text: string): number {
  let tokens = 0;
  for (const character of text) tokens += (character.codePointAt(0) ?? 0) < 0x250 ? 1 / 3 : 1;
  return tokens;
}

function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}
