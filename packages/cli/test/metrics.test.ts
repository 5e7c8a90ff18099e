import { createRegistry } from '@flowstate/runtime';
import t from 'tap';
import { barChart } from '../src/charts/bar-chart.ts';
import { lineChart } from '../src/charts/line-chart.ts';
import { growth, readSamples, sumBy } from '../src/metrics/samples.ts';

t.test('an exposition is read with its labels, whatever is in them', async (t) => {
  const text = [
    '# HELP errors_total Errors',
    '# TYPE errors_total counter',
    'errors_total{route="/api/runs/:id",status="403"} 3',
    'errors_total{route="a \\"quoted\\" {brace}, \\\\ and \\n",status="403"} 4.5 1700000000000',
    'errors_total{route="/x",status="500"} 1e3',
    'plain 0',
    'latency_bucket{le="+Inf"} 7',
    'odd NaN',
    '',
  ].join('\n');
  const samples = readSamples(text);
  t.equal(samples.length, 6);
  t.same(samples[1], {
    name: 'errors_total',
    labels: { route: 'a "quoted" {brace}, \\ and \n', status: '403' },
    value: 4.5,
  });
  t.same(
    [...sumBy(samples, 'errors_total', 'status')],
    [
      ['403', 7.5],
      ['500', 1_000],
    ],
  );
  t.same([...sumBy(samples, 'errors_total', 'route', { status: '500' })], [['/x', 1_000]]);
  t.same([...sumBy(samples, 'plain', 'route')], [['', 0]]);

  const registry = createRegistry('gateway', { FLOWSTATE_VERSION: '1', FLOWSTATE_COMMIT: 'abc' });
  const own = readSamples(await registry.metrics());
  t.match(own.find(({ name }) => name === 'flowstate_build_info')?.labels, { service: 'gateway', version: '1' });
});

t.test('growth is what was added, also after a restart', async (t) => {
  const before = new Map([['a', 5], ['b', 9], ['same', 2]]); // prettier-ignore
  const after = new Map([['a', 7], ['b', 1], ['same', 2], ['new', 4]]); // prettier-ignore
  t.same([...growth(before, after)], [['a', 2], ['b', 1], ['new', 4]]); // prettier-ignore
});

t.test('charts are SVG that foreign labels cannot break', async (t) => {
  const bars = barChart('Failures', [
    { label: '<script>', value: 2 },
    { label: 'expired & gone', value: 40, note: ' (+3)' },
  ]);
  t.match(bars, /^<svg [^]*<\/svg>\n$/);
  t.notMatch(bars, /<script>/);
  t.match(bars, /expired &amp; gone[^]*>40 \(\+3\)<[^]*&lt;script&gt;/, 'the longest first');
  const line = lineChart('Rate', [{ label: 'x', points: [[0, 1], [60_000, 3], [120_000, NaN]] }]); // prettier-ignore
  t.match(line, /points="60\.0,182\.7 380\.0,36\.0"/);
  t.match(lineChart('Nothing', []), /^<svg [^]*<\/svg>\n$/);
});
