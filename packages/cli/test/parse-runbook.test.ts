import { readFile } from 'node:fs/promises';
import t from 'tap';
import { parseRunbook, variablesOf } from '../src/runbook/parse-runbook.ts';

const example = [
  '# Title',
  '```sh',
  'export NOT=a-step',
  '```',
  '## First',
  '### Look',
  'Prose with `code`.',
  '```sh',
  'flowstate check health',
  '```',
  '> **Expect** `ok`, `200`,',
  '> not `FAILED`. Otherwise look',
  '> at `x`.',
  'More prose with `code`.',
  '```json',
  '### no step',
  '```',
  '## Second',
  '### Act',
  '```sh',
  'flowstate contain "$SUBJECT" --reason "${REASON}"',
  'true',
  '```',
  '> **Changes** everything.',
  '>',
  '> **Expect** exit code 3 and `x`',
].join('\n');

t.test('a step is its heading, the first command and what to expect of it', async (t) => {
  t.same(parseRunbook(example), [
    {
      chapter: 'First',
      title: 'Look',
      line: 9,
      command: 'flowstate check health',
      expect: { exitCode: 0, texts: ['ok', '200'], absent: ['FAILED'], otherwise: 'look at `x`.' },
      changes: null,
    },
    {
      chapter: 'Second',
      title: 'Act',
      line: 21,
      command: 'flowstate contain "$SUBJECT" --reason "${REASON}"\ntrue',
      expect: { exitCode: 3, texts: ['x'], absent: [], otherwise: '' },
      changes: 'everything.',
    },
  ]);
  t.same(variablesOf('a "$SUBJECT" ${REASON#x} $(date) $1 "$SUBJECT"'), ['SUBJECT', 'REASON']);
});

t.test('a step that cannot be followed is named by its line', async (t) => {
  for (const [text, message] of [
    ['# Nothing', /no steps/],
    ['## A\n### B\n> **Expect** `x`', /line 2: "B" has no command/],
    ['## A\n### B\n```sh\ntrue\n```', /line 2: "B" does not say what to expect/],
    ['## A\n### B\n```sh\ntrue\n```\n> **Expect** that all is well', /line 6 expects nothing/],
  ] as const) {
    t.throws(() => parseRunbook(text), { message });
  }
});

t.test('the runbooks of this repository have the chapters of the original', async (t) => {
  const steps = parseRunbook(await readFile(new URL('../../../deploy/runbooks/security.md', import.meta.url), 'utf8'));
  const chapters = [...new Set(steps.map(({ chapter }) => chapter))];
  t.same(chapters, ['Preparation', 'Incident validation', 'Response actions', 'Communicate', 'Post-incident']);
});
