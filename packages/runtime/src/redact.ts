const named = [
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'x-api-key',
  'flowstate-worker-key',
  'password',
  'newPassword',
  'currentPassword',
  'secret',
  'clientSecret',
  'token',
  'accessToken',
  'refreshToken',
  'apiKey',
  'jwtSecret',
  'privateKey',
];
// Names are compared without regard to case and separators: `access_token`, `Set-Cookie`, `API_KEY`.
const spelt = named.map((name) => name.replaceAll(/[-_]|(?=[A-Z])/g, '[-_]?')).join('|');
const text = String.raw`"(?:[^"\\]|\\.)*"`;
/** A field of that name, or ending in it, at any depth of a line of JSON; its value is a text or a list of texts. */
const field = new RegExp(String.raw`("[\w-]*(?:${spelt})":)(?:${text}|\[(?:${text},?)*\])`, 'gi');
/** The same in JSON or a query string that stands inside a text. */
const quotedField = new RegExp(String.raw`(\\"[\w-]*(?:${spelt})\\": *\\")(?:(?!\\").)*`, 'gi');
const pair = new RegExp(String.raw`\b([\w-]*(?:${spelt})=)[^&\s"\\,;]+`, 'gi');

/** Shapes that give a secret away wherever it stands: tokens of ours, bearer credentials, logins in addresses. */
const shapes: [RegExp, string][] = [
  [/\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g, '[a token]'],
  [/\b(?:fsr|fsk_\w{12})_[\w-]{8,}/g, '[a token]'],
  [/\bwhsec_[\w+/=-]{8,}/g, '[a secret]'],
  [/\b(Bearer|Basic) +[\w.~+/=-]{8,}/gi, '$1 [redacted]'],
  [/\b([a-z][a-z0-9+.-]*:\/\/)[^\s"/@:]*:[^\s"/@]+@/gi, '$1[redacted]@'],
];

/**
 * Takes secrets out of one line of JSON: fields with a telling name, and what looks like a token or a login, in any
 * text and at any depth. The last thing that happens to a line, so that nothing gets past it.
 */
export function redactLine(line: string): string {
  let clean = line.replace(field, '$1"[redacted]"').replace(quotedField, '$1[redacted]').replace(pair, '$1[redacted]');
  for (const [shape, instead] of shapes) clean = clean.replace(shape, instead);
  return clean;
}

const personal: [RegExp, string][] = [
  // Not the user of an address such as `postgres://flowstate@db.example.org`.
  [/(?<![\w.+%-]|\/\/)[\w.+%-]+@[\w-]+(?:\.[\w-]+)+/g, '[an e-mail address]'],
  [/(?<![\w+])\+\d[\d ().-]{7,17}\d(?!\w)/g, '[a phone number]'],
];

/**
 * Takes people's addresses and numbers out of a line, too: what a tool, a model or a document said may stand in the
 * message of an error. Entries of the audit log keep them, since who did it is what they are for.
 */
export function redactPersonal(line: string): string {
  return personal.reduce((rest, [shape, instead]) => rest.replace(shape, instead), line);
}
