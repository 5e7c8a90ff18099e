import t from 'tap';
import { createServiceTimes, desiredWorkers, type Demand, type ScalingPolicy } from '../src/index.ts';

const policy: ScalingPolicy = {
  min: 0,
  max: 100,
  concurrency: 10,
  utilisation: 0.8,
  waitGoalSeconds: 10,
  connections: null,
  providerRunsPerSecond: null,
};
const quiet: Demand = { active: 0, waiting: 0, paused: false, arrivalPerSecond: 0, serviceSeconds: null };
const decide = (demand: Partial<Demand>, changed: Partial<ScalingPolicy> = {}) =>
  desiredWorkers({ ...quiet, ...demand }, { ...policy, ...changed });

t.test('nothing to do asks for nobody, and a first run for one', async (t) => {
  t.match(decide({}), { workers: 0, reason: 'idle' });
  t.match(decide({ waiting: 1 }), { workers: 1, reason: 'load' });
  t.match(decide({}, { min: 2 }), { workers: 2, reason: 'min' });
});

t.test('load leaves a fifth of the places free', async (t) => {
  t.match(decide({ active: 8 }), { workers: 1 });
  t.match(decide({ active: 9 }), { workers: 2, reason: 'load' });
  t.match(decide({ active: 40, waiting: 40 }), { workers: 10, byLoad: 10 });
});

t.test('what waits begins within the goal, and what arrives is kept up with', async (t) => {
  // 5 a second of 4 s each hold 20 places.
  t.match(decide({ active: 1, arrivalPerSecond: 5, serviceSeconds: 4 }), { workers: 2, reason: 'latency', byLoad: 1 });
  // Long runs: 30 that wait, of 60 s each, need 180 places to begin within 10 s; load alone would give 4 workers.
  t.match(decide({ waiting: 30, serviceSeconds: 60 }), { workers: 18, reason: 'latency', byLoad: 4, byLatency: 18 });
  t.match(decide({ waiting: 30, serviceSeconds: 0.1 }), { workers: 4, reason: 'load' });
  t.match(decide({ arrivalPerSecond: 0.01, serviceSeconds: 1 }), { workers: 1, reason: 'latency' });
});

t.test('while paused only what is active counts', async (t) => {
  const demand = { waiting: 500, arrivalPerSecond: 50, serviceSeconds: 2, paused: true };
  t.match(decide({ ...demand, active: 20 }), { workers: 3, reason: 'paused' });
  t.match(decide(demand), { workers: 0, reason: 'paused' }, 'what is in line waits for a person, and not for workers');
});

t.test('the bound that bit is named', async (t) => {
  const much = { waiting: 10_000, serviceSeconds: 1 };
  t.match(decide(much), { workers: 100, reason: 'max', byLoad: 1250 });
  t.match(decide(much, { connections: { budget: 90, perWorker: 8 } }), { workers: 11, reason: 'connections' });
  t.match(decide({}, { min: 20, connections: { budget: 90, perWorker: 8 } }), { workers: 11, reason: 'connections' });
  t.match(decide(much, { providerRunsPerSecond: 65 }), { workers: 7, reason: 'provider' });
  t.match(decide(much, { providerRunsPerSecond: 0.5 }), { workers: 1, reason: 'provider' });
  t.match(decide({ waiting: 10_000 }, { providerRunsPerSecond: 65 }), { workers: 100, reason: 'max' });
});

t.test('an override replaces the bounds, but not what Postgres can bear', async (t) => {
  const override = (demand: Partial<Demand>, min: number | null, max: number | null, changed = {}) =>
    desiredWorkers({ ...quiet, ...demand }, { ...policy, ...changed }, { min, max });
  t.match(override({}, 5, null), { workers: 5, reason: 'override' });
  t.match(override({ waiting: 10_000 }, null, 3), { workers: 3, reason: 'override' });
  t.match(override({ waiting: 10_000 }, null, 300), { workers: 300, reason: 'override' });
  t.match(override({ waiting: 10_000 }, 5, null), { workers: 100, reason: 'max' });
  t.match(override({}, null, 1, { min: 4 }), { workers: 1, reason: 'min' });
  t.match(override({}, 50, null, { connections: { budget: 16, perWorker: 8 } }), { workers: 2, reason: 'connections' });
});

t.test('sums of fractions are no extra worker', async (t) => {
  t.match(decide({ waiting: 24 }), { workers: 3 });
  t.match(decide({ waiting: 7, serviceSeconds: 1 }, { concurrency: 1, utilisation: 0.7 }), { workers: 10 });
});

t.test('places held: by stays, of late, and by no clock that jumps', async (t) => {
  let ms = 0;
  const queues = ['workflows', 'documents'] as const;
  const known = new Map([['documents', 7] as const]);
  const times = createServiceTimes(queues, known, () => ms);
  const at = (seconds: number, ...workers: [id: number, stays: number, held: number][]) => {
    ms = seconds * 1000;
    times.observe(workers.map(([id, stays, held]) => ({ id, served: { workflows: { stays, seconds: held } } })));
    return times.of('workflows');
  };
  t.equal(at(0, [1, 1000, 5000]), null, 'what was before is not of late');
  t.equal(at(1, [1, 1002, 5006]), 3);
  t.equal(at(2, [1, 1004, 5008], [2, 50, 5000]), 2);
  t.equal(at(3, [2, 50, 5000]), 2, 'one worker less says nothing');
  t.equal(at(50, [2, 51, 5010]), 18 / 5);
  t.equal(at(70, [2, 51, 5010]), 10, 'the first minute is over');
  t.equal(at(200, [2, 51, 5010]), 10, 'the last figure holds while nothing ends');
  t.equal(at(4000, [2, 51, 5010]), null, 'but not for ever');
  t.equal(times.of('documents'), null);
  ms = 0;
  t.equal(createServiceTimes(queues, known, () => ms).of('documents'), 7, 'what another controller had found out');
});
