import { once } from 'node:events';
import { Agent, request } from 'node:http';
import t from 'tap';
import { createCrmFixture } from './fixtures/crm-fixture.ts';
import { publishIngest } from './fixtures/documents-fixture.ts';

const { sql, url, call, upload, importAll, drain } = await createCrmFixture(t);
const count = async (table: string) => (await sql`SELECT count(*)::int AS n FROM ${sql(table)}`)[0]?.n as number;
type Reason = { field: string; message: string; count: number };
const rejections = (body: Record<string, unknown>) =>
  (body.rejections as { line: number; externalId?: string; errors: { field: string; message: string }[] }[]).map(
    ({ line, externalId, errors }) => [line, externalId, ...errors.map(({ field }) => field)],
  );

await t.test('CSV as spreadsheets write it, twice', async (t) => {
  const file =
    '\uFEFFexternalId,name,industry,employees,since\r\n' +
    '"C 1","Quoted, with ""quotes""\r\nand a second line",retail,12,1996-02-29\r\n' +
    '\r\n' +
    ' C2 ,Żółć,,,\r\n' +
    'C3,"""Said"" so",x,1e3,';
  const first = await importAll('customers', file);
  t.match(first, {
    status: 200,
    body: {
      entity: 'customers',
      rows: 3,
      inserted: 3,
      updated: 0,
      unchanged: 0,
      rejected: 0,
      rejections: [],
      runs: [],
    },
  });
  t.match((await call('GET', '/api/customers/C%201')).body, {
    name: 'Quoted, with "quotes"\r\nand a second line',
    employees: 12,
    since: '1996-02-29',
  });
  t.match((await call('GET', '/api/customers/C2')).body, { name: 'Żółć', industry: null, employees: null });
  t.match((await call('GET', '/api/customers/C3')).body, { name: '"Said" so', employees: 1000 });
  t.match((await importAll('customers', file)).body, { rows: 3, inserted: 0, updated: 0, unchanged: 3 });
  t.match((await importAll('customers', file.replace('12', '13'))).body, { updated: 1, unchanged: 2 });
});

await t.test('a bad row is rejected alone, with its line and fields', async (t) => {
  const file = [
    'externalId,customer,channel,direction,at,text', // 1
    'r1,C2,email,inbound,2026-01-01,fine', // 2
    'r2,C2,fax,sideways,2026-01-01,two wrong fields', // 3
    'r3,C2,email,inbound,2026-02-30,no such day', // 4
    'r4,Nobody,email,inbound,2026-01-01,unknown customer', // 5
    'r5,,email,inbound,2026-01-01,no customer', // 6
    'r6,C2,email,inbound,2026-01-01', // 7: a cell short
    'r7,C2,email,inbound,2026-01-01,"two', // 8
    'lines",and one cell more', // 9
    'r8,C2,email,inbound,2026-01-01,"bad" quotes', // 10
    'r9,C2,email,inbound,2026-01-01,5" pipe', // 11: an inch sign is no quote
    `${'x'.repeat(256)},C2,email,inbound,2026-01-01,long id`, // 12
    ',C2,email,inbound,2026-01-01,no id', // 13
    'r10,C2,email,inbound,2026-01-01,nul\u0000', // 14
    'r11,C2,email,inbound,2026-01-01T10:00:00+02:00,fine', // 15
  ].join('\r\n');
  const { body } = await importAll('interactions', file);
  t.same(
    rejections(body).toSorted((a, b) => Number(a[0]) - Number(b[0])),
    [
      [3, 'r2', 'channel', 'direction'],
      [4, 'r3', 'at'],
      [5, 'r4', 'customer'],
      [6, 'r5', 'customer'],
      [7, undefined, 'row'],
      [8, undefined, 'row'],
      [10, undefined, 'row'],
      [12, 'x'.repeat(255), 'externalId'],
      [13, undefined, 'externalId'],
      [14, 'r10', 'text'],
    ],
  );
  t.match(body, { rows: 13, inserted: 3, rejected: 10, truncated: false });
  t.same((body.reasons as Reason[])[0], {
    field: 'channel',
    message: 'must be one of email, call, chat, ticket, meeting',
    count: 1,
  });
  t.equal(await count('interactions'), 3);
  t.match((await call('GET', '/api/interactions?customer=C2')).body.items, [
    { externalId: 'r11', at: '2026-01-01T08:00:00.000Z' },
    {},
    {},
  ]);
});

await t.test('what is wrong with the file as a whole is said before anything is written', async (t) => {
  const before = await count('customers');
  const refused = async (file: string | Uint8Array, mapping = {}) => {
    const answer = await importAll('customers', file, { mapping, accept: 'application/x-ndjson' });
    t.equal(answer.status, 400, JSON.stringify(answer.body));
    return answer.body.errors?.map(({ field }) => field);
  };
  t.same(await refused(''), ['file']);
  t.same(await refused('name,colour,id\nx,y,z\n'), ['externalId', 'colour', 'id']);
  t.same(await refused('externalId,name,,name\nx,y,z,a\n'), ['column 3', 'name']);
  t.same(await refused('externalId;name\nx;y\n'), ['externalId', 'name', 'externalId;name']);
  t.same(await refused('externalId,name\nx,y\n', { columns: { name: 'Name', colour: 'c' } }), [
    'mapping.columns.colour',
  ]);
  t.same(await refused('externalId,name\nx,y\n', { columns: { name: 'Name' } }), ['mapping.columns.name', 'name']);
  t.same(await refused('externalId,name\nx,y\n', { shape: 1 }), ['mapping.shape']);
  t.same(await refused('externalId,name\nx,y\nz,"open\na,b\n'), ['file']);
  t.same(await refused(Buffer.from('externalId,name\nx,y\nz,Müller\n', 'utf16le')), ['file']);
  t.equal((await importAll('customers', 'x', { type: 'text/plain' })).status, 415);
  t.equal((await importAll('customers', 'x', { type: 'text/csv; charset=klingon' })).status, 415);
  t.equal((await importAll('widgets', 'x')).status, 400);
  t.equal((await importAll('customers', 'x', { role: 'analyst' })).status, 403);
  const badMapping = await call('POST', '/api/import?entity=customers&mapping=%7B', []);
  t.match(badMapping, { status: 400, body: { errors: [{ field: 'mapping' }] } });
  t.equal(await count('customers'), before);
});

await t.test('bytes that are not UTF-8 end an import of CSV, naming their line', async (t) => {
  const rows = Array.from({ length: 9_000 }, (_, i) => `e${i},é${i}\n`).join('');
  const bad = Buffer.from('bad,M\xFCller\n', 'latin1');
  const { status, body } = await importAll('customers', Buffer.concat([Buffer.from(`externalId,name\n${rows}`), bad]));
  t.equal(status, 400);
  t.match(body.errors, [{ field: 'file', message: /line 9002 / }]);
  const [stored] = await sql`SELECT count(*)::int AS n FROM customers WHERE external_id LIKE 'e%'`;
  t.ok(stored?.n >= 500);
  t.match(body.detail, `Before that ${stored?.n} rows were stored`);
  const early = Buffer.from('externalId,name\nok,x\n\nbad,M\xFCller\n', 'latin1');
  t.match((await importAll('customers', early)).body.errors, [{ field: 'file', message: /line 4 / }]);
  t.equal((await call('GET', '/api/customers/ok')).status, 404);
  const latin = Buffer.from('externalId,name\nlatin,M\xFCller\n', 'latin1');
  t.match((await importAll('customers', latin, { type: 'text/csv; charset=windows-1252' })).body, { inserted: 1 });
  t.equal((await call('GET', '/api/customers/latin')).body.name, 'Müller');
});

await t.test('NDJSON and JSON keep their types; bad elements are rejected alone', async (t) => {
  const good = { externalId: 'j1', customer: 'C2', name: 'CRM', kind: 'crm', status: 'down', latencyMs: 1.5 };
  const incidents = [{ openedAt: '2026-01-01', closedAt: null, summary: 'Down' }];
  const lines = [
    JSON.stringify({ ...good, incidents }),
    '',
    '{"externalId": ',
    '[1]',
    JSON.stringify({ ...good, externalId: 'j2', latencyMs: true, colour: 'red' }),
    `{"__proto__": {"externalId": "j3"}, "name": "x"}`,
    JSON.stringify({ ...good, externalId: 'j4', incidents: [{ openedAt: 'x', closedAt: null, summary: 's' }] }),
    `"${'x'.repeat(1024 * 1024)}"`,
    JSON.stringify({ ...good, externalId: 'j5' }),
  ];
  const { body } = await importAll('integrations', lines.join('\r\n'), { type: 'application/x-ndjson' });
  t.same(rejections(body), [
    [3, undefined, 'row'],
    [4, undefined, 'row'],
    [5, 'j2', 'colour', 'latencyMs'],
    [6, undefined, 'externalId', 'customer', 'kind', 'status', '__proto__'],
    [7, 'j4', 'incidents.0.openedAt'],
    [8, undefined, 'row'],
  ]);
  t.match(body, { rows: 8, inserted: 2 });
  t.match((await call('GET', '/api/integrations?customer=C2')).body.items[1], {
    latencyMs: 1.5,
    incidents: [{ openedAt: '2026-01-01T00:00:00.000Z', closedAt: null, summary: 'Down' }],
  });
  const array = await importAll('integrations', JSON.stringify([good, 7]), { type: 'application/json' });
  t.same(rejections(array.body), [[2, undefined, 'row']]);
  t.match(array.body, { updated: 1 });
  t.equal((await importAll('integrations', '{}', { type: 'application/json' })).status, 400);
  t.equal((await importAll('integrations', '[', { type: 'application/json' })).status, 400);
  const large = `[${' '.repeat(17 * 1024 * 1024)}]`;
  t.equal((await importAll('integrations', large, { type: 'application/json' })).status, 413);
});

await t.test("a mapping turns somebody else's columns into ours", async (t) => {
  const file =
    'deal;who;account;item;step;value;opened;closed;weather\n' +
    'm1;Ann;C2;GTXPro;Won;1,5;20-10-16;01-03-17;rain\n' +
    'm2;;C2;GTX Basic;Engaging;;31-12-69;;sun\n' +
    'm3;Bob;C2;GTX Basic;Prospecting;0.1;;;\n' +
    'm4;Bob;C2;GTX Basic;Lost;-3;01-01-70;29-02-15;\n' +
    'm5;Bob;;GTX Basic;Lost;-3;01-01-70;28-02-15;\n' +
    'm6;Bob;C2;GTX Basic;Lost;1100.04;01-01-70;28-02-15;\n';
  const mapping = {
    columns: {
      externalId: 'deal',
      owner: 'who',
      customer: 'account',
      product: 'item',
      stage: 'step',
      amount: 'value',
      openedAt: 'opened',
      closedAt: 'closed',
    },
    values: { product: { GTXPro: 'GTX Pro' } },
    defaults: { owner: 'nobody' },
    scale: { amount: 1_000_000 },
    dateFormat: 'DD-MM-YY' as const,
    delimiter: ';' as const,
    ignore: ['weather'],
    openedStage: 'Engaging',
  };
  const { body } = await importAll('opportunities', file, { mapping });
  t.same(body.rejections, [
    { line: 2, externalId: 'm1', errors: [{ field: 'amount', message: 'must be number (column value)' }] },
    {
      line: 5,
      externalId: 'm4',
      errors: [{ field: 'closedAt', message: 'must be a date like 31-01-26 (column closed)' }],
    },
    { line: 6, externalId: 'm5', errors: [{ field: 'customer', message: 'is required (column account)' }] },
  ]);
  const read = async (id: string) =>
    (await call('GET', `/api/opportunities?customer=C2`)).body.items.find((item) => item.externalId === id);
  t.match(await read('m2'), {
    owner: 'nobody',
    stage: 'engaging',
    amount: null,
    openedAt: '2069-12-31T00:00:00.000Z',
    history: [{ stage: 'engaging', at: '2069-12-31T00:00:00.000Z' }],
  });
  t.match(await read('m3'), { stage: 'prospecting', amount: 100_000, openedAt: null, history: [] });
  t.match(await read('m6'), {
    amount: 1_100_040_000,
    history: [
      { stage: 'engaging', at: '1970-01-01T00:00:00.000Z' },
      { stage: 'lost', at: '2015-02-28T00:00:00.000Z' },
    ],
  });
});

await t.test('an opportunity may bring its history in a cell', async (t) => {
  const file =
    'externalId,customer,product,owner,stage,history\n' +
    'y1,C2,P,O,won,won@2026-03-01;Lead@2026-01-01; demo@2026-02-01T12:00:00Z ;\n' +
    'y2,C2,P,O,won,won\n' +
    'y3,C2,P,O,won,won@yesterday\n' +
    `y4,C2,P,O,won,"[{""stage"":""won"",""at"":""2026-03-01""}]"\n`;
  const { body } = await importAll('opportunities', file);
  t.same(rejections(body), [
    [3, 'y2', 'history'],
    [4, 'y3', 'history.0.at'],
  ]);
  const items = (await call('GET', '/api/opportunities?product=P&owner=O')).body.items;
  t.same(items.find((item) => item.externalId === 'y1')?.history, [
    { stage: 'lead', at: '2026-01-01T00:00:00.000Z' },
    { stage: 'demo', at: '2026-02-01T12:00:00.000Z' },
    { stage: 'won', at: '2026-03-01T00:00:00.000Z' },
  ]);
  t.same(items.find((item) => item.externalId === 'y4')?.history, [{ stage: 'won', at: '2026-03-01T00:00:00.000Z' }]);
});

await t.test('of two rows with one id the later counts, wherever they stand', async (t) => {
  const filler = Array.from({ length: 700 }, (_, i) => `f${i},x`).join('\n');
  const { body } = await importAll('customers', `externalId,name\nd,one\nd,two\n${filler}\nd,three\n`);
  t.match(body, { inserted: 701, updated: 2, unchanged: 0 });
  t.equal((await call('GET', '/api/customers/d')).body.name, 'three');
});

await t.test('a dry run judges and keeps nothing', async (t) => {
  const before = await count('customers');
  const file = 'externalId,name\nd,three\nf1,changed\nnew,new\n,bad\n';
  const { body } = await importAll('customers', file, { dryRun: true });
  t.match(body, { dryRun: true, rows: 4, inserted: 1, updated: 1, unchanged: 1, rejected: 1 });
  t.equal(await count('customers'), before);
  t.equal((await call('GET', '/api/customers/f1')).body.name, 'x');
});

type Line = Record<string, unknown>;

/** A request whose body is written step by step while its answer is read line by line. */
function open(entity: string) {
  const sent = request(new URL(`/api/import?entity=${entity}`, url), {
    method: 'POST',
    headers: { 'content-type': 'text/csv', 'x-role': 'manager' },
  });
  const answered = new Promise<AsyncIterable<Buffer>>((resolve, reject) => {
    sent.once('response', resolve).once('error', reject);
  });
  async function* lines(): AsyncGenerator<Line> {
    const response = await answered;
    let rest = '';
    for await (const chunk of response) {
      const parts = (rest + chunk.toString()).split('\n');
      rest = parts.pop() ?? '';
      for (const part of parts) yield JSON.parse(part) as Line;
    }
  }
  return { sent, lines: lines() };
}

await t.test('rejections arrive while the file is still being sent', async (t) => {
  const { sent, lines } = open('customers');
  // The parser holds a row back until it sees what comes after.
  sent.write('externalId,name\n,nameless\nlate,');
  t.match((await lines.next()).value, { line: 2, errors: [{ field: 'externalId', message: 'is required' }] });
  sent.end('Late\n');
  const rest: Line[] = [];
  for await (const line of lines) rest.push(line);
  t.match(rest, [{ entity: 'customers', rows: 2, inserted: 1, rejected: 1 }]);
});

await t.test('a client may send everything before it reads anything', async (t) => {
  const { sent, lines } = open('interactions');
  const row = `,nobody,email,inbound,2026-01-01,x\n`;
  const rows = Array.from({ length: 30_000 }, (_, i) => `${String(i).padEnd(250, 'x')}${row}`);
  // Ten megabytes of rejections, more than sockets hold.
  sent.end(`externalId,customer,channel,direction,at,text\n${rows.join('')}`);
  await once(sent, 'finish');
  let rejected = 0;
  let last: Line = {};
  for await (const line of lines) {
    if ('line' in line) rejected += 1;
    last = line;
  }
  t.equal(rejected, 30_000);
  t.match(last, { rows: 30_000, rejected: 30_000, reasons: [{ field: 'customer', count: 30_000 }] });
});

await t.test('hanging up leaves what was committed; sending the file again completes it', async (t) => {
  const rows = Array.from({ length: 1200 }, (_, i) => `hang${i},x`);
  const { sent, lines } = open('customers');
  // 500 rows make a batch; the rejection behind it shows that it is committed.
  sent.write(`externalId,name\n${rows.slice(0, 501).join('\n')}\n,bad\nhang`);
  t.match((await lines.next()).value, { line: 503 });
  sent.destroy();
  await t.rejects(lines.next());
  const [stored] = await sql<{ n: number }[]>`SELECT count(*)::int AS n FROM customers WHERE external_id LIKE 'hang%'`;
  t.equal(stored?.n, 500);
  const { body } = await importAll('customers', `externalId,name\n${rows.join('\n')}\n`);
  t.match(body, { inserted: 700, unchanged: 500 });
});

await t.test('what goes wrong later is the last line instead of the summary', async (t) => {
  const rows = Array.from({ length: 600 }, (_, i) => `late${i},x`).join('\n');
  const response = await upload('customers', { body: `externalId,name\n,bad\n${rows}\nopen,"quote\n` });
  t.equal(response.status, 200);
  const lines = (await response.text())
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
  t.match(lines.at(-1), {
    error: {
      code: 'invalid_input',
      status: 400,
      errors: [{ field: 'file', message: /line 603 that is never closed/ }],
    },
    progress: { inserted: 500, rejected: 1 },
  });
});

await t.test('a row without end is refused before it fills the memory', async (t) => {
  async function* endless() {
    yield Buffer.from('externalId,name\nbig,"');
    for (let i = 0; i < 64; i++) yield Buffer.alloc(1024 * 1024, 'x');
  }
  const { status, body } = await importAll('customers', endless());
  t.match({ status, body }, { status: 400, body: { errors: [{ field: 'file', message: /line 2 of more than/ }] } });
});

await t.test('a refused file leaves the connection usable', async (t) => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  const send = (path: string, body: string | undefined) =>
    new Promise<number | undefined>((resolve, reject) => {
      const headers = { 'content-type': 'text/csv', 'x-role': 'manager' };
      const method = body === undefined ? 'GET' : 'POST';
      request(new URL(path, url), { agent, method, headers }, (response) => {
        response.resume().once('end', () => resolve(response.statusCode));
      })
        .once('error', reject)
        .end(body);
    });
  const large = `externalId,nome\n${'x,y\n'.repeat(4_000_000)}`;
  t.equal(await send('/api/import?entity=customers', large), 400);
  t.equal(await send('/api/customers', undefined), 200);
  t.equal(await send('/api/import?entity=nothing', large), 400);
  t.equal(await send('/api/customers', undefined), 200);
});

await t.test('documents start runs for what is not embedded yet; account agents may not', async (t) => {
  const documents = Array.from({ length: 65 }, (_, i) => JSON.stringify({ externalId: `k${i}`, text: `text ${i}` }));
  const file = [...documents, '{"text": "no id"}', '{"externalId": "k", "text": " "}'].join('\n');
  const type = 'application/x-ndjson';
  t.equal((await importAll('documents', file, { type, role: 'agent' })).status, 403);
  t.equal(await count('documents'), 0);
  t.match(await importAll('documents', file, { type }), { status: 503 }, 'no worker has said yet that it can');
  await publishIngest(sql);
  const { status, body } = await importAll('documents', file, { type, role: 'integration' });
  // The refused attempt had stored them all.
  t.match({ status, body }, { status: 200, body: { rows: 67, inserted: 0, unchanged: 65, rejected: 2 } });
  const inputs = await sql<
    { input: string }[]
  >`SELECT input FROM runs WHERE id = ANY(${body.runs as string[]}) ORDER BY id`;
  t.same(
    inputs.map(({ input }) => (JSON.parse(input) as { documentIds: string[] }).documentIds.length),
    [65],
  );
  await sql`UPDATE documents SET embedding = '[1,2,3]'`;
  t.match((await importAll('documents', file, { type })).body, { unchanged: 65, runs: [] });
  const csv = 'externalId,title,text,metadata\nk0,T,text 0,"{""topic"": ""billing""}"\nk1,T,text,oops\n';
  const again = await importAll('documents', csv, { dryRun: true });
  t.match(again.body, {
    updated: 1,
    rejected: 1,
    runs: [],
    rejections: [{ line: 3, errors: [{ field: 'metadata' }] }],
  });
  const own = [
    { externalId: 'e1', text: 'Given', collection: 'own', model: 'my-own', embedding: [1, 2] },
    { externalId: 'e2', text: 'Nothing here embeds it', collection: 'own' },
    { externalId: 'e3', text: 'An operator', metadata: { a: { $gt: 1 } } },
  ];
  t.match((await importAll('documents', own.map((row) => JSON.stringify(row)).join('\n'), { type })).body, {
    inserted: 1,
    runs: [],
    rejections: [
      { line: 3, errors: [{ field: 'metadata.a.$gt' }] },
      { line: 2, errors: [{ field: 'embedding', message: /nothing here embeds by my-own/ }] },
    ],
  });
});

await t.test('a gateway about to stop takes no further batch', async (t) => {
  drain();
  const { status, body } = await importAll('customers', 'externalId,name\nlast,x\n');
  t.match({ status, body }, { status: 503, body: { code: 'unavailable' } });
  t.equal((await call('GET', '/api/customers/last')).status, 404);
});
