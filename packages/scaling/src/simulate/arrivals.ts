import { exponential, type Random } from './random.ts';

/** A run that is accepted, seconds after the trace begins, and the seconds it will hold a place. */
export type Arrival = { at: number; serviceSeconds: number };

/** `rate` runs a second between two moments, beside what else arrives then. */
export type Burst = { rate: number; seconds: number; at: number };

type Shape = {
  durationSeconds: number;
  /** Runs a second all the time. */
  base: number;
  bursts: readonly Burst[];
  /** Mean; each run's own is exponentially distributed. */
  serviceSeconds: number;
};

/** Independent arrivals (Poisson) at those rates, in order of time. */
export function poissonArrivals({ durationSeconds, base, bursts, serviceSeconds }: Shape, random: Random): Arrival[] {
  const streams = [{ rate: base, seconds: durationSeconds, at: 0 }, ...bursts];
  return streams
    .flatMap(({ rate, seconds, at }) => {
      const arrivals: Arrival[] = [];
      const end = Math.min(at + seconds, durationSeconds);
      if (rate <= 0) return arrivals;
      for (let time = at + exponential(random, 1 / rate); time < end; time += exponential(random, 1 / rate)) {
        arrivals.push({ at: time, serviceSeconds: exponential(random, serviceSeconds) });
      }
      return arrivals;
    })
    .toSorted((a, b) => a.at - b.at);
}

export type TraceError = { line: number; field: string; message: string };

/**
 * A recorded trace as text: a line for each run, `seconds,service`, the header of these names may stand first. Lines
 * need not be in order. Answers every line that cannot be read instead when there are any.
 */
export function readTrace(text: string): { arrivals: Arrival[]; errors: TraceError[] } {
  const errors: TraceError[] = [];
  const arrivals: Arrival[] = [];
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#') || (index === 0 && /^seconds\s*,\s*service$/i.test(line))) continue;
    const cells = line.split(',').map((cell) => cell.trim());
    const tell = (field: string, message: string) => errors.push({ line: index + 1, field, message });
    if (cells.length !== 2) {
      tell('line', `has ${cells.length} values where two are expected: seconds,service`);
      continue;
    }
    const [at, serviceSeconds] = cells.map((cell) => (/^\d+(\.\d+)?$/.test(cell) ? Number(cell) : Number.NaN));
    if (at === undefined || Number.isNaN(at)) tell('seconds', `must be seconds, not ${cells[0]}`);
    else if (serviceSeconds === undefined || !(serviceSeconds > 0)) tell('service', `must be above 0, not ${cells[1]}`);
    else arrivals.push({ at, serviceSeconds });
  }
  if (arrivals.length === 0 && errors.length === 0) errors.push({ line: 1, field: 'line', message: 'holds no run' });
  return { arrivals: arrivals.toSorted((a, b) => a.at - b.at), errors };
}
