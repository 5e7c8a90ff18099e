/**
 * What VADER's lexicon, made from social media, gets wrong in business mail. Formulas and names of things carry no
 * feeling here though the lexicon gives them one ("support" +1.7, "please" +1.3): they are read as `item`, which has
 * none. Words of trouble the lexicon does not know are read as the nearest one it does.
 */
export const readAs: Readonly<Record<string, string>> = {
  support: 'item',
  help: 'item',
  please: 'item',
  share: 'item',
  shared: 'item',
  value: 'item',
  values: 'item',
  opportunity: 'item',
  opportunities: 'item',
  security: 'item',
  secure: 'item',
  important: 'item',
  alert: 'item',
  alerts: 'item',
  credit: 'item',
  interest: 'item',
  demand: 'item',
  dear: 'item',
  'would like': 'item',
  'best regards': 'item',
  'kind regards': 'item',
  'warm regards': 'item',
  'yours sincerely': 'item',
  'hope you are well': 'item',
  'hope this finds you well': 'item',
  'no problem': 'fine',
  'no problems': 'fine',
  'no issues': 'fine',
  outage: 'failure',
  outages: 'failure',
  downtime: 'failure',
  timeout: 'failure',
  timeouts: 'failure',
  'times out': 'failed',
  'timed out': 'failed',
  bug: 'error',
  bugs: 'error',
  glitch: 'error',
  crashed: 'crash',
  crashes: 'crash',
  unusable: 'useless',
  unreliable: 'unstable',
  overdue: 'delayed',
  late: 'delayed',
  slow: 'delayed',
  slower: 'delayed',
  sluggish: 'delayed',
  reliable: 'stable',
};

/** Words that make a text English; none of them is a common word of German, French, Spanish, Italian or Dutch. */
export const englishWords: ReadonlySet<string> = new Set(
  'the and to of is are our you your it this that with for not have has had i my can be been they there what when which would could should from but if'.split(
    ' ',
  ),
);
