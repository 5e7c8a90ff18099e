import { createHash, randomBytes } from 'node:crypto';
import { createTestDatabase } from '@flowstate/test';
import t from 'tap';
import { v7 as uuidv7 } from 'uuid';
import { personalHash } from '../src/audit/chain.ts';
import {
  createSql,
  eraseAuditPersonal,
  exportAudit,
  insertAudit,
  listAudit,
  sealAudit,
  verifyAudit,
  type AuditRow,
  type ChainHead,
  type Sql,
} from '../src/index.ts';

function row(values: Partial<AuditRow> = {}): AuditRow {
  const base = { actor: 'ann', subject: null, outcome: 'success' as const, details: null, personal: [] };
  return { id: uuidv7(), action: 'run.cancel', ...base, ...values };
}

/** Seals until so many entries are: transactions of other tests on this server may be open for a moment. */
async function sealUpTo(sql: Sql, total: number, sealers = 1): Promise<ChainHead> {
  for (;;) {
    const heads = await Promise.all(Array.from({ length: sealers }, () => sealAudit(sql)));
    const head = heads.find((each) => each?.total === total);
    if (head) return head;
  }
}

function personal(person: string, data: object) {
  const row = { person, salt: randomBytes(16), data: JSON.stringify(data) };
  return { ...row, hash: personalHash(row) };
}

t.test('what commits late is sealed later, and nothing is skipped', async (t) => {
  const { sql, url } = await createTestDatabase(t);
  t.equal(await sealAudit(sql), null, 'an empty log has no seal');
  const early = row({ action: 'early' });
  const late = createSql(url, { name: 'late', max: 1 });
  t.teardown(() => late.end());
  const written = Promise.withResolvers<void>();
  const commit = Promise.withResolvers<void>();
  const slow = late.begin(async (tx) => {
    await insertAudit(tx, [early]);
    written.resolve();
    await commit.promise;
  });
  await written.promise;
  const [first, second] = [row(), row()];
  await insertAudit(sql, [first, second]);
  t.equal(await sealAudit(sql), null, 'younger entries wait for the transaction that is still open');
  commit.resolve();
  await slow;
  const { number } = await sealUpTo(sql, 3); // more than one where others' transactions were open in between
  t.equal(await sealAudit(sql), null);

  await sql
    .begin(async (tx) => {
      await insertAudit(tx, [row()]);
      await tx`SELECT 1 / 0`;
    })
    .catch(() => {});
  const third = row();
  await insertAudit(sql, [third]);
  await insertAudit(sql, [third]);
  t.match(await sealUpTo(sql, 4, 2), { number: number + 1 }, 'two sealers make one seal');
  t.match(await verifyAudit(sql), { ok: true, seals: number + 1, entries: 4, pending: 0, findings: [] });
  await insertAudit(sql, [row()]);
  t.match(await verifyAudit(sql), { ok: true, pending: 1 });
});

t.test('a changed, removed or inserted row is found and named', async (t) => {
  const { sql } = await createTestDatabase(t);
  const rows = [
    row({ personal: [personal('ann', { address: '10.0.0.1' })] }),
    row({ outcome: 'denied', details: '{"a":1}' }),
    row({ subject: 'x' }),
    row({ personal: [personal('ann', { address: '10.0.0.2' })] }),
  ];
  const ids = rows.map(({ id }) => id) as [string, string, string, string];
  for (const [index, each] of rows.entries()) {
    await insertAudit(sql, [each]);
    await sealUpTo(sql, index + 1);
  }
  const { head } = await verifyAudit(sql);
  t.match(head, { number: 4, total: 4 });

  await sql`UPDATE audit_log SET outcome = 'success' WHERE id = ${ids[1]}`;
  await sql`DELETE FROM audit_log WHERE id = ${ids[2]}`;
  await sql`UPDATE audit_personal SET data = '{"address":"10.9.9.9"}' WHERE entry_id = ${ids[3]}`;
  await sql`DELETE FROM audit_personal WHERE entry_id = ${ids[0]}`;
  const forged = uuidv7();
  await sql`
    INSERT INTO audit_log (id, at, xid, action, outcome)
    VALUES (${forged}, uuidv7_time(${forged}), 1, 'run.cancel', 'success')`;
  const { ok, findings } = await verifyAudit(sql);
  t.notOk(ok);
  t.same(
    findings.map(({ kind, entry, seal }) => [kind, entry, seal]),
    [
      ['personal_removed', ids[0], 1],
      ['changed', ids[1], 2],
      ['removed', ids[2], 3],
      ['personal_changed', ids[3], 4],
      ['inserted', forged, null],
    ],
  );
});

t.test('a seal that is changed, removed or made anew is found', async (t) => {
  const { sql } = await createTestDatabase(t);
  for (let i = 0; i < 3; i++) {
    await insertAudit(sql, [row()]);
    await sealUpTo(sql, i + 1);
  }
  const { head } = await verifyAudit(sql);
  const noted = head?.hash ?? '';
  t.match(await verifyAudit(sql, { head: noted }), { ok: true });
  t.match(await verifyAudit(sql, { head: '00' }), { ok: false, findings: [{ kind: 'head_missing' }] });

  await sql`UPDATE audit_seals SET hash = ${createHash('sha256').digest()} WHERE number = 2`;
  t.match(await verifyAudit(sql), {
    findings: [
      { kind: 'seal_changed', seal: 2 },
      { kind: 'seal_changed', seal: 3 },
    ],
  });
  await sql`DELETE FROM audit_seals WHERE number = 2`;
  const kinds = (await verifyAudit(sql)).findings.map(({ kind, seal }) => [kind, seal]);
  t.same(kinds, [
    ['seal_removed', 3],
    ['inserted', null],
  ]);

  // Whoever owns the database can make the whole chain anew, and only a head noted elsewhere shows it.
  await sql`DELETE FROM audit_seals`;
  await sql`UPDATE audit_log SET actor = 'bob'`;
  await sealUpTo(sql, 3);
  t.match(await verifyAudit(sql), { ok: true });
  t.match(await verifyAudit(sql, { head: noted }), { ok: false, findings: [{ kind: 'head_missing' }] });
});

t.test('personal data is erased and the chain still holds', async (t) => {
  const { sql } = await createTestDatabase(t);
  await insertAudit(sql, [
    row({
      personal: [personal('ann', { address: '10.0.0.1' }), personal('bob', { email: 'bob@example.org' })],
      subject: 'bob',
    }),
    row({ actor: 'bob', personal: [personal('bob', { address: '10.0.0.2' })] }),
  ]);
  await sealUpTo(sql, 2);
  t.match(await listAudit(sql, { actor: 'ann', limit: 9 }), [
    { personal: { address: '10.0.0.1', email: 'bob@example.org' } },
  ]);
  await sql.begin(async (tx) => {
    t.equal(await eraseAuditPersonal(tx, 'bob'), 2);
    await insertAudit(tx, [row({ action: 'audit.erase', actor: 'admin', subject: 'bob' })]);
  });
  await sealUpTo(sql, 3);
  t.match(await verifyAudit(sql), { ok: true, entries: 3, erased: 2 });
  t.match(await listAudit(sql, { actor: 'ann', limit: 9 }), [{ personal: { address: '10.0.0.1' } }]);
  const [{ kept } = { kept: -1 }] = await sql<{ kept: number }[]>`SELECT count(*) AS kept FROM audit_personal`;
  t.equal(kept, 1);
});

t.test('entries are read by page, oldest or newest first', async (t) => {
  const { sql } = await createTestDatabase(t);
  const rows = Array.from({ length: 7 }, (_, index) =>
    row({ actor: index % 2 ? 'odd' : 'even', details: `{"n":${index}}` }),
  );
  await insertAudit(sql, rows);
  const exported = (await Array.fromAsync(exportAudit(sql, {}, 3))).flat();
  t.same(
    exported.map(({ details }) => details?.['n']),
    [0, 1, 2, 3, 4, 5, 6],
  );
  const page = await listAudit(sql, { actor: 'odd', limit: 2 });
  t.same(
    page.map(({ details }) => details?.['n']),
    [5, 3],
  );
  const last = page.at(-1) as (typeof page)[number];
  const next = await listAudit(sql, { actor: 'odd', limit: 2, before: { at: last.at.toISOString(), id: last.id } });
  t.same(
    next.map(({ details }) => details?.['n']),
    [1],
  );
});

t.test('after a restore into another server every entry is still sealed once', async (t) => {
  const { sql } = await createTestDatabase(t);
  await insertAudit(sql, [row(), row()]);
  await sealUpTo(sql, 2);
  await insertAudit(sql, [row()]);
  // As if a server further on in its transactions had written all this.
  await sql`UPDATE audit_log SET xid = xid + 1000000000`;
  await sql`UPDATE audit_seals SET cluster = 1, horizon = horizon + 1000000000`;
  await insertAudit(sql, [row()]);
  const { number } = await sealUpTo(sql, 4);
  await insertAudit(sql, [row()]);
  t.match(await sealUpTo(sql, 5), { number: number + 1 });
  t.equal(await sealAudit(sql), null);
  t.match(await verifyAudit(sql), { ok: true, entries: 5, findings: [] });
});

t.test('the services may add and read, and nothing else', async (t) => {
  const { sql } = await createTestDatabase(t);
  await insertAudit(sql, [row({ personal: [personal('ann', { address: '10.0.0.1' })] })]);
  const as = (role: string, statement: string) =>
    sql.begin(async (tx) => {
      await tx.unsafe(`SET LOCAL ROLE ${role}`);
      await tx.unsafe(statement);
    });
  await sql.begin(async (tx) => {
    await tx`SET LOCAL ROLE flowstate_app`;
    await insertAudit(tx, [row({ personal: [personal('bob', { address: '10.0.0.1' })] })]);
  });
  // Reading who the server is needs no rights.
  await as('flowstate_app', 'SELECT system_identifier FROM pg_control_system()');
  for (const table of ['audit_log', 'audit_seals', 'audit_log_default']) {
    for (const statement of [`UPDATE ${table} SET xid = 1`, `DELETE FROM ${table}`, `TRUNCATE ${table}`]) {
      await t.rejects(
        as('flowstate_app', statement.replace(/audit_seals SET xid/, 'audit_seals SET total')),
        { code: '42501' },
        statement,
      );
    }
  }
  const id = uuidv7();
  await t.rejects(
    as(
      'flowstate_app',
      `INSERT INTO audit_log (id, at, xid, action, outcome) VALUES ('${id}', uuidv7_time('${id}'), 1, 'a', 'failed')`,
    ),
    { code: '42501' },
    'nobody chooses the transaction of an entry',
  );
  for (const table of ['audit_log', 'audit_personal', 'audit_seals']) {
    await t.rejects(as('flowstate_worker', `SELECT FROM ${table}`), { code: '42501' }, `a worker and ${table}`);
  }
});
