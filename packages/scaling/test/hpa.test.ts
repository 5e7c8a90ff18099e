import t from 'tap';
import {
  createHpa,
  defaultBehaviour,
  replicasForAverageValue,
  replicasForUtilisation,
  type Behaviour,
} from '../src/simulate/hpa.ts';

/** What it sets, sync by sync, for what is recommended. */
function play(behaviour: Behaviour, start: number, recommended: number[], max = 1_000): number[] {
  const hpa = createHpa(behaviour, { min: 1, max });
  let replicas = start;
  return recommended.map((wanted, sync) => (replicas = hpa.decide(wanted, replicas, sync * 15)));
}

t.test('an average value: rounded up, and left alone within a tenth', async (t) => {
  t.equal(replicasForAverageValue(100, 10, 5), 10);
  t.equal(replicasForAverageValue(101, 10, 5), 11);
  t.equal(replicasForAverageValue(108, 10, 10), 10);
  t.equal(replicasForAverageValue(111, 10, 10), 12);
  t.equal(replicasForAverageValue(91, 10, 10), 10);
  t.equal(replicasForAverageValue(0, 10, 10), 0);
});

t.test('utilisation: pods that are not ready count as idle before it grows', async (t) => {
  t.equal(replicasForUtilisation({ ready: 4, sum: 4 }, 0.5, 4), 8);
  t.equal(replicasForUtilisation({ ready: 4, sum: 2.1 }, 0.5, 4), 4, 'within the tolerance');
  t.equal(replicasForUtilisation({ ready: 4, sum: 1 }, 0.5, 4), 2);
  t.equal(replicasForUtilisation({ ready: 4, sum: 4 }, 0.5, 8), 8, 'the four that start may be enough');
  t.equal(replicasForUtilisation({ ready: 8, sum: 8 }, 0.5, 10), 16);
  t.equal(replicasForUtilisation({ ready: 0, sum: 0 }, 0.5, 3), 3, 'nothing is known');
});

t.test('up: four pods or double in fifteen seconds, whichever is more', async (t) => {
  t.same(play(defaultBehaviour, 1, Array(6).fill(100)), [5, 10, 20, 40, 80, 100]);
  t.same(play(defaultBehaviour, 3, Array(3).fill(7)), [7, 7, 7]);
  t.same(play(defaultBehaviour, 3, Array(2).fill(500), 6), [6, 6]);
});

t.test('down: to the highest of the last five minutes, then as fast as allowed', async (t) => {
  const fiveMinutes = Array(20).fill(2);
  t.same(play(defaultBehaviour, 50, [50, ...fiveMinutes]).slice(-2), [50, 2]);
  const slow: Behaviour = {
    ...defaultBehaviour,
    scaleDown: { pods: 4, percent: 20, periodSeconds: 60, stabilisationSeconds: 0 },
  };
  const by = play(slow, 50, Array(13).fill(1));
  t.same([by[0], by[1], by[4], by[8], by[12]], [40, 40, 32, 25, 20], 'a fifth a minute');
  t.same(play(slow, 6, Array(9).fill(1)), [2, 2, 2, 2, 1, 1, 1, 1, 1], 'but four pods at least');
  t.same(play(slow, 3, [0]), [1], 'never below the least');
});
