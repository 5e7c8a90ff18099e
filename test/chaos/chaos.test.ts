import t from 'tap';
import { runChaos } from './chaos.ts';
import { randomSeed } from '../support/random.ts';

const runs = 500;
const seed = randomSeed();

// By its name it can be had again, whatever becomes of it.
await t.test(`chaos --runs ${runs} --minutes 0.4 --every 1.5 --seed ${seed}`, async (t) => {
  const report = await runChaos(t, {
    runs,
    seed,
    durationMs: 24_000,
    faultEveryMs: 1_500,
    say: (line) => t.comment(line),
  });
  if (typeof report === 'string') {
    t.pass('chaos', { skip: report });
    return;
  }
  t.comment(report.summary);
  for (const { what, story } of report.violations) t.fail(what, { story });
  t.equal(report.terminal, report.all, 'whatever was accepted has ended');
  t.ok(report.resumed > 0, 'the faults hit runs in their middle');
  t.equal(report.violations.length, 0, report.summary);
});
