import t from 'tap';
import { measuredParts } from '../support/promql.ts';

t.test('what decides whether an alert fires is left out, everything it measures stays', async (t) => {
  for (const [expr, parts] of [
    ['a > 5', ['a']],
    ['sum by (x) (rate(a{b="c > d"}[5m])) >= 0.1', ['sum by (x) (rate(a{b="c > d"}[5m]))']],
    ['a > 1 * 0.01 and b > 2 or (c < 3 and d < 4)', ['a', 'b', 'c', 'd']],
    ['max(a) > 0 and on () sum(b) == 0', ['max(a)', 'sum(b)']],
    ['max by (s) (a) > max by (s) (b)', ['max by (s) (a)', 'max by (s) (b)']],
    ['max by (i) (a / (b > 0)) > 0.9', ['max by (i) (a / (b > 0))']],
    ['a - time() < 14 * 86400', ['a - time()']],
  ] as const) {
    t.same(measuredParts(expr), parts, expr);
  }
  t.throws(() => measuredParts('sum(('), /not PromQL/);
});
