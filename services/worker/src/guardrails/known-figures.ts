import type { Evidence } from '@flowstate/workflow';
import type { CalculateInput, Figure, Given } from '../tools/calculation.ts';

/** `percent`: the number itself is in percent. One id may have had several values, where a row changed meanwhile. */
export type KnownFigure = { values: readonly number[]; percent: boolean };

export type Known = {
  /** By the id it is cited by: `f3.1` of a computed one, `<externalId>.<field>` of a row's, `<tool>.<field>` else. */
  figures: ReadonlyMap<string, KnownFigure>;
  /** Names of things (customers, products, ids) that have digits in them and are no figures. */
  names: ReadonlySet<string>;
  /** Days (`2026-06-30`) on record. */
  days: ReadonlySet<string>;
  /** Every text that a tool gave. */
  texts: readonly string[];
  /** Computed from numbers that nobody gave: why such a figure counts for nothing. */
  refused: ReadonlyMap<string, string>;
};

const naming = new Set(['name', 'product', 'owner', 'kind', 'segment', 'industry']);
const identifying = new Set(['id', 'externalId', 'customer']);
const isName = /^(?=.*\p{L})(?=.*\p{N}).{2,120}$/u;
const isIdentifier = /^(?=.*\p{L})(?=.*\p{N})\S{2,120}$/u;
const day = /^(\d{4}-\d\d-\d\d)(?:$|T)/;

/**
 * What an answer may say, from what tools gave in its conversation, in their order. A computed figure counts only when
 * each number it was computed from was known before: a model that makes numbers up gains nothing by adding them.
 */
export function knownFrom(evidence: readonly Evidence[]): Known {
  const figures = new Map<string, KnownFigure>();
  const [names, days] = [new Set<string>(), new Set<string>()];
  const texts: string[] = [];
  const refused = new Map<string, string>();

  function know(id: string, value: number, percent = false): void {
    figures.set(id, { values: [...(figures.get(id)?.values ?? []), value], percent });
  }

  function walk(value: unknown, place: string): void {
    if (Array.isArray(value)) return value.forEach((item: unknown) => walk(item, place));
    if (typeof value !== 'object' || value === null) return;
    const fields = value as Record<string, unknown>;
    const ids = [fields['externalId'], fields['id']].filter((id) => typeof id === 'string');
    for (const [name, part] of Object.entries(fields)) {
      if (typeof part === 'number') for (const id of ids.length > 0 ? ids : [place]) know(`${id}.${name}`, part);
      else if (typeof part === 'string') note(name, part);
      else walk(part, `${place}.${name}`);
    }
  }

  function note(name: string, text: string): void {
    texts.push(text);
    const [, on] = day.exec(text) ?? [];
    if (on !== undefined) days.add(on);
    // Whoever wrote a document named it, too: its id is all that is taken from it.
    if (naming.has(name) ? isName.test(text) : identifying.has(name) && isIdentifier.test(text)) names.add(text);
  }

  for (const { tool, input, output } of evidence) {
    if (tool !== 'calculate') {
      walk(output, tool);
      continue;
    }
    // The loop has checked both against the tool's schemas.
    const figure = output as Figure;
    const made = givenTo(input as CalculateInput).find(
      ({ value, from }) => figures.get(from)?.values.includes(value) !== true,
    );
    if (made === undefined) know(figure.id, figure.value, figure.op.startsWith('percent'));
    else refused.set(figure.id, `was computed from ${made.value}, which is not what ${made.from} is`);
  }
  return { figures, names, days, texts, refused };
}

/** The numbers that a model handed over, and where it says they stood. */
function givenTo({ over, a, b }: CalculateInput): Given[] {
  const operands = [a, b].flatMap((operand) => (operand !== undefined && 'value' in operand ? [operand] : []));
  return over !== undefined && 'given' in over ? over.given : operands;
}
