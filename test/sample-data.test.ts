import { readFile } from 'node:fs/promises';
import { createCheck, CustomerInput, DocumentInput, IntegrationInput, InteractionInput } from '@flowstate/contracts';
import { parse } from 'csv-parse/sync';
import t from 'tap';

type Row = Record<string, string>;
const read = (name: string) => readFile(new URL(`../deploy/sample/${name}`, import.meta.url), 'utf8');
const csv = async (name: string): Promise<Row[]> => parse(await read(name), { columns: true });
const ndjson = async (name: string) =>
  (await read(name))
    .trimEnd()
    .split('\n')
    .map((line): unknown => JSON.parse(line));

const anchor = '2026-01-31T18:00:00Z';
const customers = await csv('customers.csv');
const interactions = await csv('interactions.csv');
const opportunities = await csv('opportunities.csv');
const integrations = (await ndjson('integrations.ndjson')).map(createCheck(IntegrationInput));
const documents = (await ndjson('documents.ndjson')).map(createCheck(DocumentInput));
const ids = (rows: { externalId?: string }[]) => rows.map((row) => row.externalId);

await t.test('there is enough of everything, each row valid and its id unique', async (t) => {
  structuredClone(customers).forEach(createCheck(CustomerInput, { coerce: true }));
  interactions.forEach(createCheck(InteractionInput));
  const sets = { customers, interactions, opportunities, integrations, documents };
  const least = { customers: 40, interactions: 600, opportunities: 400, integrations: 90, documents: 120 };
  for (const [name, count] of Object.entries(least)) {
    const rows = sets[name as keyof typeof sets];
    t.ok(rows.length >= count, `${rows.length} ${name}`);
    t.equal(new Set(ids(rows)).size, rows.length, `${name} have ids of their own`);
  }
  const known = new Set(ids(customers));
  const owned = [...interactions, ...opportunities, ...integrations];
  t.strictSame(ids(owned.filter((row) => !known.has(row.customer))), [], 'every customer named exists');
});

await t.test('threads run forward and end before the anchor; no long text is used more than three times', async (t) => {
  const threads = Map.groupBy(interactions, (row) => row['thread']);
  for (const [thread, rows] of threads) {
    const times = rows.map((row) => row['at'] ?? '');
    t.strictSame([...new Set(times)].sort(), times, `${thread} is in order`);
    t.equal(new Set(rows.map((row) => row['customer'])).size, 1, `${thread} has one customer`);
  }
  t.strictSame(ids(interactions.filter((row) => (row['at'] ?? '') > anchor)), []);
  const uses = Map.groupBy(interactions, (row) => row['text'] ?? '');
  t.strictSame(
    [...uses].filter(([text, rows]) => text.length >= 60 && rows.length > 3),
    [],
  );
});

await t.test('the history of an opportunity explains its stage and dates', async (t) => {
  for (const { externalId, stage, openedAt, closedAt, amount, history = '' } of opportunities) {
    const entries = history.split(';').map((entry) => entry.split('@'));
    const dates = entries.map(([, date = '']) => date);
    const closed = stage === 'won' || stage === 'lost';
    t.strictSame([...new Set(dates)].sort(), dates, `${externalId}: dates rise`);
    t.strictSame(
      [dates[0], entries.at(-1)],
      [openedAt, [stage, closed ? closedAt : dates.at(-1)]],
      `${externalId}: ends`,
    );
    t.ok(closed ? Number(amount) > 0 : closedAt === '', `${externalId}: only closed ones need an amount and an end`);
    t.ok((dates.at(-1) ?? '') <= anchor, `${externalId} is not in the future`);
  }
});
