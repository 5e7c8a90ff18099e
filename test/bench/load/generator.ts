import { setTimeout as wait } from 'node:timers/promises';
import { latencyOf } from './latency.ts';
import type { Answer, Answers, Command, Latencies, Setup } from './messages.ts';
import { followRunEnds, type RunEnds } from './run-ends.ts';
import { createSubmit, type Submit } from './submit.ts';

// A process of its own, so that sending runs takes nothing from measuring what they cost.

/** Under load, ends are read this often; it adds as much to a run's way, but nothing to how many are done. */
const gatherMs = 2;
const patienceMs = 60_000;

let runs: Submit;
let ends: RunEnds;
let accepted = 0;
let stopping = new AbortController();
let slots: Promise<void>[] = [];
let submitted: number[] = [];
let done: number[] = [];
/** Aborted by the first thing that went wrong; the bench fails with its reason. */
const broken = new AbortController();

/** Runs under way by id; an end may be heard of before the answer that says the id. */
const waiting = new Map<string, (at: number) => void>();
const early = new Map<string, number>();

function fail(error: Error): void {
  broken.abort(error);
  stopping.abort();
}

/** Later deliveries of a run have a number after its id. */
const runOf = (jobId: string) => jobId.slice(0, 36);

function onEnd(jobId: string): void {
  const id = runOf(jobId);
  const tell = waiting.get(id);
  if (tell) tell(performance.now());
  else early.set(id, performance.now());
}

async function oneRun(): Promise<void> {
  const begun = performance.now();
  const id = await runs.submit();
  submitted.push(performance.now() - begun);
  accepted += 1;
  const seen = early.get(id);
  early.delete(id);
  const at = seen ?? (await new Promise<number>((resolve) => waiting.set(id, resolve)));
  waiting.delete(id);
  done.push(at - begun);
}

async function slot(): Promise<void> {
  while (!stopping.signal.aborted) await oneRun();
}

/** Resolves when all are done; fails when nothing ends any more. */
async function allDone(promises: Promise<void>[]): Promise<void> {
  const over = new AbortController();
  const failed = new Promise<never>((_, reject) => {
    broken.signal.addEventListener('abort', () => reject(broken.signal.reason as Error), { signal: over.signal });
  });
  broken.signal.throwIfAborted();
  const watch = async () => {
    for (let before = -1; before !== ends.count();) {
      before = ends.count();
      await wait(patienceMs, undefined, { signal: over.signal });
    }
    throw new Error(`${waiting.size} accepted runs have not ended, and none has for ${patienceMs / 1000} s`);
  };
  try {
    await Promise.race([Promise.all(promises), watch(), failed]);
  } finally {
    over.abort();
  }
}

function takeLatencies(): Latencies {
  const latencies = { submit: latencyOf(submitted), done: latencyOf(done), runs: done.length };
  submitted = [];
  done = [];
  early.clear();
  return latencies;
}

async function pace(perSecond: number, total: number): Promise<Latencies> {
  const begun = performance.now();
  const sent: Promise<void>[] = [];
  for (let run = 0; run < total && !broken.signal.aborted; run++) {
    await wait(Math.max(0, begun + (run * 1000) / perSecond - performance.now()));
    const one = oneRun();
    one.catch(fail);
    sent.push(one);
  }
  await allDone(sent);
  return takeLatencies();
}

async function obey(message: Command | Setup): Promise<Answers[keyof Answers]> {
  broken.signal.throwIfAborted();
  switch (message.type) {
    case 'setup':
      runs = createSubmit(message.target, message.connections);
      ends = await followRunEnds({ ...message.target, onEnd, onFailure: fail });
      return null;
    case 'flood':
      stopping = new AbortController();
      ends.gather(gatherMs);
      slots = Array.from({ length: message.inFlight }, slot);
      for (const each of slots) each.catch(fail);
      return null;
    case 'stop':
      stopping.abort();
      await allDone(slots);
      ends.gather(0);
      return takeLatencies();
    case 'pace':
      return pace(message.perSecond, message.runs);
    case 'count': {
      const { user, system } = process.cpuUsage();
      return { at: performance.now(), accepted, ended: ends.count(), cpuMs: (user + system) / 1000 };
    }
    default:
      return message satisfies never;
  }
}

process.on('message', (message: Command | Setup) => {
  const answer = (value: Answer) => process.send?.(value);
  void obey(message).then(
    (value) => answer({ ok: true, value }),
    (error: unknown) => answer({ ok: false, message: (error as Error).message }),
  );
});
process.on('disconnect', () => process.exit());
