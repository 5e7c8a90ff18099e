import t from 'tap';
import {
  byCpu,
  byDesiredWorkers,
  byWaitLength,
  deletionCost,
  poissonArrivals,
  readTrace,
  seeded,
  simulate,
  type Arrival,
  type Autoscaler,
  type ScalingPolicy,
} from '../src/index.ts';

const policy: ScalingPolicy = {
  min: 0,
  max: 50,
  concurrency: 16,
  utilisation: 0.8,
  waitGoalSeconds: 10,
  connections: null,
  providerRunsPerSecond: null,
};
const pool = { concurrency: 16, startUpSeconds: 20, stepSeconds: 1 };
const fixed = (replicas: number): Autoscaler => ({
  name: 'fixed',
  least: replicas,
  activation: null,
  marksPods: false,
  sync: () => replicas,
});

t.test('a fixed number of workers gives what can be worked out by hand', async (t) => {
  // 32 at once on 16 places, 10 s each: half of them begin at once, the others 10 s later.
  const arrivals: Arrival[] = Array.from({ length: 32 }, () => ({ at: 1, serviceSeconds: 10 }));
  const outcome = simulate(arrivals, fixed(1), pool);
  t.equal(outcome.runs, 32);
  t.ok(Math.abs(outcome.wait.max - 10) < 0.2, `waited ${outcome.wait.max} s`);
  t.equal(outcome.wait.p50, 0);
  t.ok(Math.abs((outcome.doneAfter ?? 0) - 20) < 0.3);
  t.equal(outcome.peakWaiting, 16);
  t.equal(outcome.handedBack, 0);
  // Until 900 s after the end, one worker.
  t.ok(Math.abs(outcome.workerHours - 921 / 3600) < 0.001, `${outcome.workerHours} h`);
  t.match(simulate(arrivals, fixed(2), pool).wait, { max: 0 });
});

t.test('a worker that leaves hands its runs back at the end of a step, and all of them end', async (t) => {
  const arrivals: Arrival[] = Array.from({ length: 16 }, () => ({ at: 0, serviceSeconds: 60 }));
  let asked = 0;
  // Two workers; one is taken away at 15 s and wanted again at 30 s.
  const swaying: Autoscaler = { ...fixed(2), sync: () => (asked++ === 1 ? 1 : 2) };
  const small = { ...pool, concurrency: 8, startUpSeconds: 5, stepSeconds: 10 };
  const outcome = simulate(arrivals, swaying, small);
  t.equal(outcome.handedBack, 8);
  // Eight ran 20 s, waited until 35 s for the new one, and went on from there: 40 s were left of them.
  t.ok(Math.abs((outcome.doneAfter ?? 0) - 75) < 0.5, `done after ${outcome.doneAfter} s`);
});

t.test('of marked pods the idle ones leave first, then those with the least in hand; of others any', async (t) => {
  t.same([0, 1, 2, 3, 4, 7, 8, 100, 1024].map(deletionCost), [0, 1, 2, 2, 4, 4, 8, 64, 1024]);
  // Four workers of four places with 4, 4, 3 and no run; two are taken away after a mark, then one more.
  const arrivals: Arrival[] = Array.from({ length: 11 }, () => ({ at: 0, serviceSeconds: 90 }));
  const shrinking = (...replicas: number[]): Autoscaler => ({
    ...fixed(4),
    marksPods: true,
    sync: () => replicas.shift() ?? 1,
  });
  const small = { ...pool, concurrency: 4, stepSeconds: 5 };
  const handedBack = (autoscaler: Autoscaler, seed: number) =>
    simulate(arrivals, autoscaler, small, { seed }).handedBack;
  for (const seed of [1, 2, 3, 4, 5]) {
    t.equal(handedBack(shrinking(4, 3, 3, 3, 3, 3, 3, 3), seed), 0, 'the idle one went');
    t.equal(handedBack(shrinking(4, 2, 2, 2, 2, 2, 2, 2), seed), 3, 'and the one with three');
  }
  const blind = [1, 2, 3, 4, 5].map((seed) =>
    handedBack({ ...shrinking(4, 3, 3, 3, 3, 3, 3, 3), marksPods: false }, seed),
  );
  t.ok(Math.max(...blind) > 0, `handed back ${blind.join(', ')}`);
});

t.test('the first run wakes a worker at once when pushed, at the next look when polled', async (t) => {
  const one = [{ at: 31, serviceSeconds: 1 }];
  const pushed = simulate(one, byDesiredWorkers(policy), pool);
  t.ok(pushed.wait.max < 20.3, `start-up alone: ${pushed.wait.max} s`);
  const polled = simulate(one, byWaitLength(policy), pool);
  t.ok(polled.wait.max > 48, `29 s until the next look: ${polled.wait.max} s`);
  t.equal(pushed.samples.at(-1)?.replicas, 0, 'and back to none');
});

t.test(
  'it knows what the controller knows: half a second late, as workers tell it, and to zero at a look',
  async (t) => {
    const arrivals: Arrival[] = [
      ...Array.from({ length: 4 }, () => ({ at: 1, serviceSeconds: 3 })),
      ...Array.from({ length: 20 }, () => ({ at: 14.8, serviceSeconds: 3 })),
    ];
    const ours = byDesiredWorkers({ ...policy, concurrency: 4 }, { cooldownSeconds: 45 });
    const { looks, samples } = simulate(arrivals, ours, { ...pool, concurrency: 4, startUps: [2] });
    t.match(looks.slice(0, 3), [
      { at: 15, waiting: 0, active: 0, arrivalPerSecond: 0.2, serviceSeconds: 3, replicas: 1, set: 1 },
      { at: 30, waiting: 0, active: 4, arrivalPerSecond: 1, replicas: 1, set: 2 },
      { at: 45, waiting: 0, active: 0, arrivalPerSecond: 0, replicas: 2, set: 2 },
    ]);
    const known = looks.map(({ serviceSeconds }) => Math.round((serviceSeconds ?? 0) * 10) / 10);
    t.same(known, [3, 3, 3, 3, 3], 'kept when nothing has ended for long');
    t.match(
      simulate(arrivals.slice(0, 4), ours, pool).looks[0],
      { serviceSeconds: null },
      'nobody knows before one ended',
    );
    // Work was last seen at 30 s: at 60 s the cool-down is not over, at 90 s it is.
    const gone = samples.findLast(({ replicas }) => replicas > 0)?.at ?? 0;
    t.ok(gone > 88 && gone < 90, `the last one left after ${gone} s`);
  },
);

t.test('one seed gives one outcome; every run ends; CPU does not see what waits', async (t) => {
  const shape = { durationSeconds: 600, base: 2, bursts: [{ rate: 40, seconds: 60, at: 120 }], serviceSeconds: 4 };
  const arrivals = poissonArrivals(shape, seeded(7));
  t.same(poissonArrivals(shape, seeded(7)), arrivals);
  t.not(poissonArrivals(shape, seeded(8))[0]?.at, arrivals[0]?.at);
  const expected = 2 * 600 + 40 * 60;
  t.ok(Math.abs(arrivals.length - expected) < 4 * Math.sqrt(expected), `${arrivals.length} arrivals`);
  const ours = simulate(arrivals, byDesiredWorkers(policy), pool);
  t.same(simulate(arrivals, byDesiredWorkers(policy), pool), ours);
  const cpu = simulate(arrivals, byCpu(policy, { target: 0.8, cpuAtFull: 0.5 }), pool);
  t.equal(cpu.peakReplicas, 1, 'full of waiting work, it is half busy for ever');
  for (const outcome of [ours, cpu, simulate(arrivals, byWaitLength(policy), pool)]) {
    t.type(outcome.doneAfter, 'number', outcome.name);
  }
  t.ok(ours.wait.p95 < cpu.wait.p95 / 10);
});

t.test('a trace is read by line, and what is wrong in it is named', async (t) => {
  t.same(readTrace('seconds,service\n3,1.5\n\n# later\n1, 2\n'), {
    arrivals: [
      { at: 1, serviceSeconds: 2 },
      { at: 3, serviceSeconds: 1.5 },
    ],
    errors: [],
  });
  t.match(readTrace('1,2\nx,2\n3\n4,-1\n5,0\n').errors, [
    { line: 2, field: 'seconds' },
    { line: 3, field: 'line' },
    { line: 4, field: 'service' },
    { line: 5, field: 'service' },
  ]);
  t.match(readTrace('').errors, [{ field: 'line', message: /no run/ }]);
});
