import { maxRowLength } from '@flowstate/contracts';
import t from 'tap';
import { csvRows } from '../src/import/csv-rows.ts';
import { readDate, readTimestamp } from '../src/import/dates.ts';
import { decodeText } from '../src/import/decode-text.ts';
import { ndjsonRows } from '../src/import/json-rows.ts';

async function* torn(bytes: Uint8Array, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function textOf(bytes: Uint8Array, size: number, encoding = 'utf-8') {
  let text = '';
  for await (const part of decodeText(torn(bytes, size), encoding)) text += part;
  return text;
}

t.test('text is the same however its bytes are torn; a byte-order mark is dropped', async (t) => {
  const text = 'aé€😀\n\uFFFD stays\nß';
  for (const size of [1, 2, 3, 5, 100]) {
    t.equal(await textOf(Buffer.from(`\uFEFF${text}`), size), text, `${size} bytes at a time`);
  }
  t.equal(await textOf(Buffer.from('M\xFCller \x80', 'latin1'), 3, 'windows-1252'), 'Müller €');
});

t.test('the line of the first wrong byte is found however the bytes are torn', async (t) => {
  const faults: [string, Buffer, number][] = [
    ['a lone byte', Buffer.concat([Buffer.from('é€\n😀\n'), Buffer.from([0xfc]), Buffer.from('\nx\n')]), 3],
    ['the first byte', Buffer.from([0xff, 0xfe, 0x61, 0x00]), 1],
    ['a character cut off by a line end', Buffer.from('a\nb\xE2\x82\nc', 'latin1'), 2],
    ['a character cut off by the end', Buffer.from('a\nb\xE2\x82', 'latin1'), 2],
    ['after many lines', Buffer.concat([Buffer.from('é\n'.repeat(5000)), Buffer.from([0x80])]), 5001],
  ];
  for (const [what, bytes, line] of faults) {
    for (const size of [1, 2, 3, 7, 4096]) {
      await t.rejects(
        textOf(bytes, size),
        { errors: [{ field: 'file', message: new RegExp(`line ${line} `) }] },
        `${what}, ${size}`,
      );
    }
  }
});

t.test('NDJSON lines are the same however their bytes are torn; a faulty one is so alone', async (t) => {
  const bytes = Buffer.concat([
    Buffer.from('\uFEFF{"a":"é€😀"}\r\n\n{"b":"'),
    Buffer.from([0xfc]),
    Buffer.from(`"}\n{"c":"${'x'.repeat(maxRowLength)}"}\n{"d":1}\n`),
    Buffer.from('{"e":"\xE2\x82', 'latin1'),
  ]);
  for (const size of [1, 2, 3, 7, 4096, bytes.length]) {
    const rows = await Array.fromAsync(ndjsonRows(torn(bytes, size)));
    t.same(
      rows.map((row) => [row.line, 'cells' in row ? row.cells : row.errors[0]?.message]),
      [
        [1, { a: 'é€😀' }],
        [3, 'has bytes that are not UTF-8'],
        [4, `is longer than ${maxRowLength} characters`],
        [5, { d: 1 }],
        [6, 'has bytes that are not UTF-8'],
      ],
      `${size} bytes at a time`,
    );
  }
});

t.test('CSV rows know the line on which they begin', async (t) => {
  const cells = ['x', '"a\r\nb"', '"a\nb\n\nc"', '"a\rb"', '""', '"say ""hi"""', ''];
  for (const [end, name] of [
    ['\n', 'LF'],
    ['\r\n', 'CRLF'],
  ] as const) {
    const lines: string[] = ['h1,h2'];
    const expected: number[] = [];
    let line = 2;
    for (const first of cells) {
      for (const second of cells) {
        const row = `${first},${second}`;
        expected.push(line);
        lines.push(row);
        line += 1 + (row.match(/\r\n|\n|\r/g)?.length ?? 0);
        lines.push('');
        line += 1;
      }
    }
    const bytes = Buffer.from(lines.join(end));
    for (const size of [1, 3, 64, 1_000_000]) {
      const seen: number[] = [];
      let header: string[] = [];
      for await (const row of csvRows(decodeText(torn(bytes, size), 'utf-8'), ',', (columns) => (header = columns))) {
        seen.push(row.line);
        if ('errors' in row) t.fail(`line ${row.line}: ${JSON.stringify(row.errors)}`);
      }
      t.same(header, ['h1', 'h2']);
      t.same(seen, expected, `${name}, ${size} bytes at a time`);
    }
  }
});

t.test('dates are days of the calendar, as written in the format asked for', async (t) => {
  const cases: [string, Parameters<typeof readTimestamp>[1], string | undefined][] = [
    ['2024-02-29', 'iso', '2024-02-29T00:00:00.000Z'],
    ['2023-02-29', 'iso', undefined],
    ['2026-01-31T09:30', 'iso', '2026-01-31T09:30:00.000Z'],
    ['2026-01-31 09:30:15.1239Z', 'iso', '2026-01-31T09:30:15.123Z'],
    ['2026-01-01T00:30:00+01:00', 'iso', '2025-12-31T23:30:00.000Z'],
    ['2026-01-31T24:30:00Z', 'iso', undefined],
    ['2026-01-31T23:59:60Z', 'iso', undefined],
    ['0000-01-01', 'iso', undefined],
    ['0001-01-01T00:00:00+01:00', 'iso', undefined],
    ['9999-12-31T23:30:00-01:00', 'iso', undefined],
    ['20260131', 'iso', undefined],
    ['1900-02-29', 'iso', undefined],
    ['2000-02-29', 'iso', '2000-02-29T00:00:00.000Z'],
    ['2026-13-01', 'iso', undefined],
    ['2026-00-10', 'iso', undefined],
    ['2026-01-00', 'iso', undefined],
    ['1996', 'YYYY', '1996-01-01T00:00:00.000Z'],
    ['96', 'YYYY', undefined],
    ['01-02-70', 'DD-MM-YY', '1970-02-01T00:00:00.000Z'],
    ['1-2-69', 'DD-MM-YY', '2069-02-01T00:00:00.000Z'],
    ['31-04-17', 'DD-MM-YY', undefined],
    ['31-12-2016', 'DD-MM-YYYY', '2016-12-31T00:00:00.000Z'],
    ['31-12-16', 'DD-MM-YYYY', undefined],
    ['12/31/2016', 'MM/DD/YYYY', '2016-12-31T00:00:00.000Z'],
    ['31/12/2016', 'MM/DD/YYYY', undefined],
    ['31.12.2016', 'DD.MM.YYYY', '2016-12-31T00:00:00.000Z'],
    ['2016/12/31', 'YYYY/MM/DD', '2016-12-31T00:00:00.000Z'],
  ];
  for (const [text, format, expected] of cases) {
    t.equal(readTimestamp(text, format), expected, `${text} as ${format}`);
  }
  t.equal(readDate('2026-01-01T00:30:00+05:00', 'iso'), '2026-01-01', 'the day as it is written');
  t.equal(readDate('2026-02-30', 'iso'), undefined);
});
