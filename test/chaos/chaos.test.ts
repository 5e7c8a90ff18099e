import t from 'tap';
import { runChaos } from './chaos.ts';
import { randomSeed } from './random.ts';

const runs = 500;
const seed = randomSeed();
const report = await runChaos(t, {
  runs,
  seed,
  durationMs: 24_000,
  faultEveryMs: 1_500,
  pastLease: false,
  say: (line) => (process.env.FLOWSTATE_TEST_LOGS === '1' ? console.error(line) : t.comment(line)),
});
if (typeof report === 'string') {
  t.pass('chaos', { skip: report });
} else {
  t.comment(report.summary);
  t.comment(`again: npm run test:chaos -- --runs ${runs} --minutes 0.4 --every 1.5 --seed ${seed}`);
  for (const { what, story } of report.violations) t.fail(what, { story });
  t.ok(report.terminal + report.parked >= report.accepted, 'whatever was accepted has ended or waits for a person');
  t.ok(report.resumed > 0, 'the faults hit runs in their middle');
  t.equal(report.violations.length, 0, report.summary);
}
