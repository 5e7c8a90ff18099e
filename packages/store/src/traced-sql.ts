import { describeSpan, inSpan, isSampled } from '@flowstate/tracing';
import type postgres from 'postgres';

/** A statement of postgres.js: a promise that is only executed when somebody waits for it. */
type Statement = Promise<{ statement?: { string: string } }> & {
  strings: readonly string[];
  args?: readonly unknown[];
  executed?: boolean;
  handle(): Promise<void>;
};

/** One span for each statement that is executed on behalf of something traced; of its values nothing is recorded. */
export function tracedSql(sql: postgres.Sql): postgres.Sql {
  return traced(sql);
}

function traced<T extends object>(sql: T): T {
  return new Proxy(sql, {
    apply(target, self, args: unknown[]) {
      const made: unknown = Reflect.apply(target as (...args: unknown[]) => unknown, self, args);
      return isStatement(made) ? traceStatement(made) : made;
    },
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      if (name === 'unsafe') return (...args: unknown[]) => traceStatement(member.apply(target, args) as Statement);
      if (name !== 'begin' && name !== 'savepoint') return member;
      // A transaction's own `sql` comes as the argument of what runs in it.
      return (...args: unknown[]) => {
        const work = args.pop() as (tx: object) => unknown;
        return member.call(target, ...args, (tx: object) => work(traced(tx))) as unknown;
      };
    },
  });
}

function isStatement(made: unknown): made is Statement {
  return made instanceof Promise && typeof (made as Partial<Statement>).handle === 'function';
}

function traceStatement(statement: Statement): Statement {
  const handle = statement.handle.bind(statement);
  statement.handle = async () => {
    if (statement.executed === true || !isSampled()) return handle();
    const summary = summaryOf(textOf(statement));
    const attributes = { 'db.system.name': 'postgresql', 'db.query.summary': summary };
    const answered = inSpan(summary, { kind: 'CLIENT', attributes }, async () => {
      void handle();
      // Its own `then` would ask for its execution again.
      const result = await new Promise<Awaited<Statement>>((resolve, reject) => {
        void Promise.prototype.then.call(statement, resolve as (value: unknown) => void, reject);
      });
      const text = result?.statement?.string;
      if (text !== undefined) describeSpan({ 'db.query.text': text.slice(0, 4_000) });
    });
    answered.catch(() => {}); // whoever waits for the statement hears of it
  };
  return statement;
}

/** The statement's text without its values; parts that were put together are told from values by being statements. */
function textOf({ strings, args = [] }: Pick<Statement, 'strings' | 'args'>): string {
  return strings.reduce((text, part, index) => {
    const arg = args[index - 1];
    return `${text}${isStatement(arg) ? textOf(arg) : '$'}${part}`;
  });
}

const called = /\b(match_\w+|hybrid_\w+)\s*\(/i;
const touched = /\b(INSERT\s+INTO|UPDATE|DELETE\s+FROM|FROM|JOIN)\s+(?:ONLY\s+)?([a-z_]\w*)(?!\w|\()/gi;
/** `FOR UPDATE SKIP LOCKED` and `DO UPDATE SET` name no table. */
const noTables = new Set(['lateral', 'set', 'skip', 'nowait', 'of']);
const named = /\b([a-z_]\w*)\s+AS\s+(?:NOT\s+MATERIALIZED\s+|MATERIALIZED\s+)?\(/gi;
const longest = 120;

/**
 * What a statement does to which tables, as OpenTelemetry asks of `db.query.summary`: `INSERT run_live INSERT runs`.
 * The names that a WITH gives are none of them, and neither are functions; a search goes by its function's name.
 */
export function summaryOf(text: string): string {
  const search = called.exec(text)?.[1];
  if (search !== undefined) return `SELECT ${search.toLowerCase()}`;
  const own = new Set([...text.matchAll(named)].map(([, name]) => name));
  const parts = new Set<string>();
  for (const [, verb = '', table = ''] of text.matchAll(touched)) {
    if (own.has(table) || noTables.has(table.toLowerCase())) continue;
    const short = verb.split(/\s/)[0]?.toUpperCase() ?? '';
    parts.add(`${short === 'FROM' || short === 'JOIN' ? 'SELECT' : short} ${table}`);
  }
  const summary = [...parts].join(' ');
  if (summary === '') return /^\s*(\w+)/.exec(text)?.[1]?.toUpperCase() ?? 'SQL';
  return summary.length <= longest ? summary : `${summary.slice(0, longest - 1)}…`;
}
