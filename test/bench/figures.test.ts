import { test } from 'tap';
import { latencyOf } from './load/latency.ts';
import { mediansOf } from './medians.ts';
import { measureInTurn } from './runs/in-turn.ts';
import { readOptions } from './runs/options.ts';
import { readOptions as readSearchOptions } from './search/options.ts';
import { benchQueries, benchTexts } from './search/texts.ts';
import { shown, tableOf } from './table.ts';

test('latencies are ranks of what was measured, in whatever order it came', async (t) => {
  const values = Array.from({ length: 200 }, (_, index) => 200 - index);
  t.strictSame(latencyOf(values), { p50: 100, p99: 198 });
  t.strictSame(latencyOf([7]), { p50: 7, p99: 7 });
  t.ok(Number.isNaN(latencyOf([]).p50));
});

test('medians are taken figure by figure; what was not measured counts for nothing', async (t) => {
  const rounds = [
    { rate: 1, cpu: { gateway: 5, postgres: null } },
    { rate: 9, cpu: { gateway: 1, postgres: null } },
    { rate: 2, cpu: { gateway: 3, postgres: null } },
  ];
  t.strictSame(mediansOf(rounds), { rate: 2, cpu: { gateway: 3, postgres: null } });
  t.strictSame(mediansOf([{ rate: 1 }, { rate: 2 }, { rate: Number.NaN }]), { rate: 1.5 });
});

test('a table is aligned, and says what could not be measured', async (t) => {
  t.equal(
    tableOf(
      ['', 'ms'],
      [
        ['one', shown(1234.5)],
        ['another', shown(null)],
      ],
    ),
    ['            ms', '───────  ─────', 'one      1,235', 'another      –'].join('\n'),
  );
  t.equal(shown(0.4567), '0.457');
});

test('options are checked before anything starts', async (t) => {
  t.throws(() => readOptions(['--rounds', '0']), { message: /--rounds/ });
  t.throws(() => readOptions(['--only', 'bare,nobody']), { message: /nobody/ });
  t.throws(() => readOptions(['--unheard-of']), { message: /--unheard-of/ });
  t.match(readOptions(['--quick', '--rounds', '2', '--only', 'bare']), { plan: { rounds: 2 }, only: ['bare'] });
});

test('searches are measured on distinct texts, the same ones each time', async (t) => {
  const texts = benchTexts(2_000).map(({ text }) => text);
  t.equal(new Set(texts).size, 2_000);
  t.strictSame(
    texts.slice(0, 50),
    benchTexts(50).map(({ text }) => text),
  );
  t.equal(benchQueries(500).length, 500);
  t.throws(() => readSearchOptions(['--concurrency', '0']), { message: /--concurrency/ });
  t.match(readSearchOptions(['--quick', '--rounds', '2']), { plan: { rounds: 2, real: 1_000 } });
});

test('what is compared is measured in turn, another one first in each round', async (t) => {
  const order: string[] = [];
  const { medians, rounds } = await measureInTurn({
    items: [{ name: 'one' }, { name: 'two' }],
    rounds: 3,
    signal: new AbortController().signal,
    log: () => {},
    told: () => '',
    measure: async ({ name }) => ({ runsPerSecond: order.push(name) }),
  });
  t.strictSame(order, ['one', 'two', 'two', 'one', 'one', 'two']);
  t.strictSame(
    rounds['two']?.map(({ runsPerSecond }) => runsPerSecond),
    [2, 3, 6],
  );
  t.strictSame(medians, { one: { runsPerSecond: 4 }, two: { runsPerSecond: 3 } });
});
