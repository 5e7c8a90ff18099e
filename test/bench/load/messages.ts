import type { Target } from '../contenders/contender.ts';

/** What the bench asks of its load generator, which is a process of its own. */
export type Command =
  /** Sends runs, `inFlight` at a time: the next one when one is done. */
  | { type: 'flood'; inFlight: number }
  /** Sends no more and waits for those under way. */
  | { type: 'stop' }
  /** Sends `runs` runs, `perSecond` of them, whatever becomes of the earlier ones, and waits for all. */
  | { type: 'pace'; perSecond: number; runs: number }
  | { type: 'count' };

export type Setup = { type: 'setup'; target: Target; connections: number };

export type Latency = { p50: number; p99: number };

export type Count = {
  /** Of the load generator's own clock, in ms. */
  at: number;
  accepted: number;
  /** Runs whose end was heard of, whoever sent them. */
  ended: number;
  /** CPU time of the load generator, in ms. */
  cpuMs: number;
};

/** Of all runs since the command before; in ms from sending the request. */
export type Latencies = { submit: Latency; done: Latency; runs: number };

export type Answers = { flood: null; stop: Latencies; pace: Latencies; count: Count };

export type Answer = { ok: true; value: Answers[keyof Answers] } | { ok: false; message: string };
