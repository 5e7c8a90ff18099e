/** Words of example files; by chance none of them stands in a random secret. */
const placeholders =
  /change[-_ ]?(me|it|this)|replace[-_ ]?(me|this)|placeholder|your[-_ ]|example|password|insecure|default|supersecret|secret[-_ ]?(key|value)|(jwt|my|test|dev)[-_ ]?secret|123456|qwerty|[<>]|\$\{/i;
/**
 * Sixteen random bytes in hexadecimal, 128 bits, are estimated at 116 on average, and of a million none at less than
 * 89: what is below this was not made at random.
 */
const leastBits = 72;

/**
 * Why a secret is no secret, in words that do not repeat it; undefined when nothing speaks against it. The estimate
 * is Shannon's, over the characters used: it finds what is regular, not what is merely public.
 */
export function secretWeakness(secret: string): string | undefined {
  if (placeholders.test(secret)) return 'is a placeholder: use a random one (openssl rand -base64 48)';
  if (isRepetition(secret)) return 'repeats itself: use a random one (openssl rand -base64 48)';
  if (bitsOf(secret) < leastBits) return 'is too regular to be random: use a random one (openssl rand -base64 48)';
  return undefined;
}

function isRepetition(text: string): boolean {
  // A text that stands in itself doubled, elsewhere than at both ends, is a shorter one repeated.
  return text.length > 1 && `${text}${text}`.indexOf(text, 1) < text.length;
}

function bitsOf(text: string): number {
  const counts = new Map<string, number>();
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
  const perCharacter = [...counts.values()].reduce((sum, n) => sum - (n / text.length) * Math.log2(n / text.length), 0);
  return perCharacter * text.length;
}
