/** One thing to do, as the file says it. */
export type RunbookStep = {
  chapter: string;
  title: string;
  /** What a shell gets. */
  command: string;
  expect: Expectation;
  /** What it changes, in the file's words; null: it only looks. */
  changes: string | null;
  /** Line of the command in the file, from 1. */
  line: number;
};

export type Expectation = {
  exitCode: number;
  texts: string[];
  absent: string[];
  /** What to do when it is otherwise; empty where the file does not say. */
  otherwise: string;
};

/**
 * Reads a runbook: `## Chapter`, `### Step`, its command in the first `sh` block, what to expect in a line that begins
 * `> **Expect**`, and `> **Changes**` where it changes something. All else is prose. Throws an `Error` naming the line
 * for a step that cannot be followed.
 */
export function parseRunbook(text: string): RunbookStep[] {
  const steps: RunbookStep[] = [];
  let chapter = '';
  let step: Draft | null = null;
  let block: 'command' | 'other' | null = null;

  const finish = () => {
    if (step !== null) steps.push(complete(step));
    step = null;
  };
  for (const [index, line] of text.split('\n').entries()) {
    if (line.startsWith('```')) {
      block = block !== null ? null : line === '```sh' && step !== null && step.line === 0 ? 'command' : 'other';
      if (block === 'command' && step !== null) step.line = index + 2;
    } else if (block === 'command') step?.command.push(line);
    else if (block === 'other') continue;
    else if (line.startsWith('## ')) {
      finish();
      chapter = line.slice(3).trim();
    } else if (line.startsWith('### ')) {
      finish();
      step = { chapter, title: line.slice(4).trim(), at: index + 1, command: [], line: 0, marks: [] };
    } else if (step !== null) readMark(step, line, index + 1);
  }
  finish();
  if (steps.length === 0) throw new Error('it has no steps (`### Title` with a `sh` block)');
  return steps;
}

type Mark = { mark: string; words: string; at: number };
type Draft = Pick<RunbookStep, 'chapter' | 'title' | 'line'> & { at: number; command: string[]; marks: Mark[] };

/** A quoted line that begins with a mark, or goes on with the one before. */
function readMark(step: Draft, line: string, at: number): void {
  const [, mark, words = ''] = /^> (?:\*\*(Expect|Changes)\*\* )?(.+)$/.exec(line) ?? [];
  if (mark !== undefined) step.marks.push({ mark, words, at });
  else if (words !== '' && step.marks.length > 0) (step.marks.at(-1) as Mark).words += ` ${words}`;
}

/** `text` must be in the output, not `text` must not be; exit code 1 where that is expected. Then: Otherwise, what to do. */
function readExpectation(words: string, at: number): Expectation {
  const [wanted = '', otherwise = ''] = words.split(/\bOtherwise,? /);
  const expect: Expectation = { exitCode: 0, texts: [], absent: [], otherwise: otherwise.trim() };
  for (const [, absent, present, code] of wanted.matchAll(/not `([^`]+)`|`([^`]+)`|exit code (\d+)/g)) {
    if (absent !== undefined) expect.absent.push(absent);
    if (present !== undefined) expect.texts.push(present);
    if (code !== undefined) expect.exitCode = Number(code);
  }
  if (expect.texts.length + expect.absent.length === 0) {
    throw new Error(`line ${at} expects nothing: name a text of the output in \`…\``);
  }
  return expect;
}

function complete({ at, marks, command, ...step }: Draft): RunbookStep {
  if (step.line === 0) throw new Error(`line ${at}: "${step.title}" has no command (a \`sh\` block)`);
  const expected = marks.find(({ mark }) => mark === 'Expect');
  if (expected === undefined)
    throw new Error(`line ${at}: "${step.title}" does not say what to expect (> **Expect** …)`);
  const changes = marks.find(({ mark }) => mark === 'Changes')?.words ?? null;
  return { ...step, command: command.join('\n').trim(), expect: readExpectation(expected.words, expected.at), changes };
}

/** The variables a command needs, as `$NAME` or `${NAME…}`, without those of the shell's own. */
export function variablesOf(command: string): string[] {
  const names = command.matchAll(/\$\{?([A-Z][A-Z0-9_]*)/g).map(([, name]) => name as string);
  return [...new Set(names)];
}
