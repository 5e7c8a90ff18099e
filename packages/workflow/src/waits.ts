import type { Inbox, InboxEntry } from '@flowstate/contracts';
import type { Journal } from './journal.ts';
import type { Replay } from './replay.ts';

/** Milliseconds: waits below this stay in the process; leaving it and coming back costs more. */
export const shortMs = 1_000;
/** Longest delay of a JavaScript timer. */
const maxTimerMs = 2 ** 31 - 1;

/** What a run can wait for without a worker. */
export type WaitFor = { name: string; timeoutMs?: number } & (
  | { kind: 'time' }
  | { kind: 'signal'; signal: string; approval: boolean }
  | { kind: 'child'; child: string }
);

export type Waits = {
  /** Waits for news or for time to pass, on record; `null` when the time ran out first. */
  wait(what: WaitFor): Promise<unknown>;
  /** Waits until a moment (milliseconds of Postgres time) that is on record elsewhere. */
  until(at: number): Promise<void>;
  /** There may be something new in the run's inbox. */
  receive(inbox: Inbox): void;
  /** What the run sleeps for: null when it has nothing to wait for, or soon has something to do. */
  sleeping(): { names: string[]; until: number | null; inbox: number } | null;
  /** While the run is being put to sleep nothing may go on. */
  hold(held: boolean): void;
  stop(): void;
};

type Options = {
  /** Who started the run: may not approve it. */
  principalId: string;
  replay: Replay;
  journal: Journal;
  inbox: Inbox;
  /** Postgres time in milliseconds. */
  now: () => number;
  /** Something waits that did not before: the run may be able to sleep. */
  onWaiting: () => void;
};

type Pending = {
  name: string;
  until: number | null;
  accepts: (entry: InboxEntry) => boolean;
  settle: (entry: InboxEntry | null) => void;
};

/** The waits of one run. Ends of waits are recorded; what woke them is taken from the inbox once. */
export function createWaits({ principalId, replay, journal, inbox, now, onWaiting }: Options): Waits {
  const pending = new Set<Pending>();
  let { seen, entries } = inbox;
  const taken = new Set(replay.consumed);
  let timer: NodeJS.Timeout | undefined;
  let held = false;

  function add(wait: Pending): void {
    pending.add(wait);
    advance();
    if (pending.has(wait)) onWaiting();
  }

  /** Settles what news or time allow, oldest wait first, and sets the timer for the next one. */
  function advance(): void {
    clearTimeout(timer);
    if (held) return;
    for (const wait of pending) {
      const entry = entries.find((candidate) => !taken.has(candidate.id) && wait.accepts(candidate));
      if (entry === undefined && (wait.until === null || wait.until > now())) continue;
      if (entry) taken.add(entry.id);
      pending.delete(wait);
      wait.settle(entry ?? null);
    }
    const next = earliest();
    if (next !== null) timer = setTimeout(advance, Math.min(Math.max(next - now(), 1), maxTimerMs));
  }

  function earliest(): number | null {
    const ends = [...pending].flatMap(({ until }) => until ?? []);
    return ends.length > 0 ? Math.min(...ends) : null;
  }

  return {
    wait(what) {
      const { name, timeoutMs } = what;
      const begun = replay.waits.get(name);
      const until = begun === undefined ? (timeoutMs === undefined ? null : now() + timeoutMs) : begun;
      const short = what.kind === 'time' && (timeoutMs ?? 0) < shortMs;
      if (begun === undefined && !short) journal.record('wait.begun', { ...described(what), until: toIso(until) });
      return new Promise((resolve) => {
        add({
          name,
          until,
          accepts: (entry) => matches(what, entry, principalId),
          settle(entry) {
            const value = entry === null ? null : valueOf(entry);
            const how = entry === null ? (what.kind === 'time' ? 'fired' : 'timed_out') : 'received';
            journal.record('wait.ended', { name, how, value, ...(entry && { inboxId: entry.id }) });
            resolve(value);
          },
        });
      });
    },
    until(at) {
      return new Promise((resolve) => {
        add({ name: '', until: at, accepts: () => false, settle: () => resolve() });
      });
    },
    receive(news) {
      if (news.seen <= seen) return;
      ({ seen, entries } = news);
      advance();
    },
    sleeping() {
      const until = earliest();
      if (pending.size === 0 || (until !== null && until - now() < shortMs)) return null;
      return { names: [...pending].map(({ name }) => name).filter((name) => name !== ''), until, inbox: seen };
    },
    hold(on) {
      held = on;
      if (!on) advance();
    },
    stop() {
      clearTimeout(timer);
      pending.clear();
    },
  };
}

function described({ timeoutMs: _timeoutMs, ...what }: WaitFor): Record<string, unknown> {
  return what;
}

function toIso(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}

function matches(what: WaitFor, { kind, name, principalId: sender, byRun }: InboxEntry, owner: string): boolean {
  if (what.kind === 'signal') {
    // Nobody approves a run of their own, and no run approves, not even by a signal sent ahead of the question.
    return kind === 'signal' && name === what.signal && !(what.approval && (sender === owner || byRun !== null));
  }
  return what.kind === 'child' && kind === 'child' && name === what.child;
}

function valueOf({ kind, data, principalId: by, at }: InboxEntry): unknown {
  return kind === 'signal' ? { data, by, at } : data;
}
