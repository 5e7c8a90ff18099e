import { createLogger } from '@flowstate/runtime';
import { Registry } from '@prometheus-io/client';
import t from 'tap';
import { createScrapedGauges } from '../src/scraped-gauges.ts';

t.test('a store that is away leaves no samples, and one scrape asks it once', async (t) => {
  const registry = new Registry();
  let asked = 0;
  let answer: () => number[] = () => [3, 4];
  const gauge = createScrapedGauges({
    registry,
    log: createLogger('test', 'silent'),
    trouble: 'numbers cannot be read',
    async read() {
      asked += 1;
      return answer();
    },
  });
  gauge({ name: 'numbers_last', help: 'Last', samples: (all) => all.slice(-1).map((n) => [{}, n]) });
  gauge({
    name: 'numbers_each',
    help: 'Each',
    labelNames: ['n'],
    samples: (all) => all.map((n) => [{ n: String(n) }, n]),
  });
  const samples = async () => (await registry.metrics()).split('\n').filter((line) => /^[^#]/.test(line));

  t.same(await samples(), ['numbers_last 4', 'numbers_each{n="3"} 3', 'numbers_each{n="4"} 4']);
  t.equal(asked, 1);
  answer = () => [4];
  t.same(await samples(), ['numbers_last 4', 'numbers_each{n="4"} 4'], 'those of before are gone');
  answer = () => {
    throw new Error('away');
  };
  t.same(await samples(), []);
  answer = () => [];
  t.same(await samples(), [], 'nothing is no zero either');
});
