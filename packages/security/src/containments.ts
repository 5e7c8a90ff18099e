import { setTimeout as wait } from 'node:timers/promises';
import { FlowstateError, policyChannel, type ContainmentReceipt, type ReleaseReceipt } from '@flowstate/contracts';
import {
  containUser,
  findSubject,
  quarantineRuns,
  raiseEpoch,
  readContainment,
  readObedience,
  recordObeyed,
  releaseRuns,
  releaseUser,
  runsToQuarantine,
  type Obedience,
  type Sql,
  type User,
} from '@flowstate/store';
import type { Redis } from 'ioredis';
import type { Operator } from './audit.ts';
import type { ChangeAudited } from './audited-change.ts';
import type { PolicyWatch } from './policy-watch.ts';
import type { Sessions } from './sessions.ts';

export type Containments = {
  /**
   * Takes everything from a user and waits until every process obeys, but no longer than two seconds. Again it finishes
   * what an earlier call began. Throws `not_found`, and `conflict` for the last administrator and for oneself.
   */
  contain(what: { subject: string; reason: string; by: Operator }): Promise<ContainmentReceipt>;
  /** Lets a user in again and their runs go on. Throws `conflict` when there is nothing to release. */
  release(what: { subject: string; by: Operator }): Promise<ReleaseReceipt>;
  /** Puts a run of a contained user in quarantine that came up after all; its row is waited for. */
  hold(run: { id: string; userId: string }): Promise<void>;
};

type Options = {
  sql: Sql;
  /** Over it the others are told at once; without it they find out by themselves, within half a second. */
  redis: Redis;
  policy: Pick<PolicyWatch, 'refresh'>;
  sessions: Pick<Sessions, 'forget'>;
  changeAudited: ChangeAudited;
  /** Processes, and runs that somebody has locked, are waited for so many milliseconds. */
  boundMs?: number;
};

/** One that was silent for longer before is not waited for, only named. */
const silentMs = 5_000;
/** Runs of one transaction. */
const batch = 500;
const lookEveryMs = 15;

const note = 'Sessions and API keys stay revoked: the user logs in again, and keys are made anew';

export function createContainments({
  sql,
  redis,
  policy,
  sessions,
  changeAudited,
  boundMs = 2_000,
}: Options): Containments {
  const announce = () => void redis.publish(policyChannel, '').catch(() => {});

  async function find(subject: string): Promise<User> {
    const user = await findSubject(sql, subject);
    if (user === null) throw new FlowstateError('not_found', `There is no ${subject.replace(':', ' ')}`);
    return user;
  }

  /** How many were put in quarantine. */
  function hold(userId: string, ids: readonly string[], by: Operator, waits = false): Promise<number> {
    return changeAudited(sql, async (tx, record) => {
      const done = await quarantineRuns(tx, { userId, ids, waits });
      if (done === null) return 0;
      const details = { ...by.details, ...done };
      await record({ action: 'runs.quarantined', actor: by.id, subject: userId, outcome: 'success', details });
      return done.queued + done.running + done.waiting;
    });
  }

  /** Looks until nothing is left; returns how many runs somebody kept locked all the time. */
  async function holdAll(userId: string, by: Operator): Promise<number> {
    for (const until = performance.now() + boundMs; ;) {
      const ids = await runsToQuarantine(sql, userId);
      let held = 0;
      for (let i = 0; i < ids.length; i += batch) held += await hold(userId, ids.slice(i, i + batch), by);
      if (ids.length === 0 || (held === 0 && performance.now() > until)) return ids.length;
      if (held === 0) await wait(lookEveryMs);
    }
  }

  async function obedience(containmentId: string, epoch: number): Promise<Obedience[]> {
    for (const until = performance.now() + boundMs; ;) {
      const processes = await readObedience(sql, { containmentId, epoch });
      const awaited = processes.some((process) => process.obeyedAt === null && process.silentMs < silentMs);
      if (!awaited || performance.now() > until) return processes;
      await wait(lookEveryMs);
    }
  }

  return {
    async contain({ subject, reason, by }) {
      const user = await find(subject);
      if (user.id === by.id)
        throw new FlowstateError('conflict', 'Nobody contains themselves: another administrator can');
      const { id, since, forget } = await changeAudited(sql, async (tx, record) => {
        const contained = await containUser(tx, { userId: user.id, reason, authorId: by.id });
        const { id: containment, families, keys } = contained;
        const details = { ...by.details, containment, reason, sessions: contained.sessions, families, keys };
        await record({ action: 'user.contained', actor: by.id, subject: user.id, outcome: 'success', details });
        return contained;
      });
      // From here on nobody lets them in, and no run of theirs begins: what follows stops what is under way.
      const elsewhere = policy.refresh().then(() => sessions.forget(user.id, forget));
      announce();
      const left = await holdAll(user.id, by);
      // A worker that has heard of this epoch has let go of every run that was taken before it.
      const epoch = await raiseEpoch(sql);
      announce();
      await elsewhere;
      const after = ({ obeyedAt }: Obedience) =>
        obeyedAt === null ? null : Math.max(0, obeyedAt.getTime() - since.getTime());
      const processes = (await obedience(id, epoch)).map((process) => ({ ...process, obeyedMs: after(process) }));
      const all = processes.every(({ obeyedMs }) => obeyedMs !== null) && left === 0;
      const obeyedMs = all ? Math.max(0, ...processes.map((process) => process.obeyedMs ?? 0)) : null;
      if (obeyedMs !== null) await recordObeyed(sql, { id, obeyedMs });
      const stored = await readContainment(sql, id);
      if (stored === null) throw new Error(`containment ${id} is gone`);
      return {
        ...stored,
        // Of this call: what is stored tells of the first that all obeyed.
        obeyedMs,
        left,
        processes: processes.map(({ kind, id: number, host, pid, obeyedMs: took, silentMs: silent }) => ({
          kind,
          id: number,
          host,
          pid,
          obeyedMs: took,
          silentMs: silent,
        })),
      };
    },

    async release({ subject, by }) {
      const user = await find(subject);
      const entry = { actor: by.id, subject: user.id, outcome: 'success' as const };
      const ended = await changeAudited(sql, async (tx, record) => {
        const released = await releaseUser(tx, { userId: user.id, releasedBy: by.id });
        const details = { ...by.details, containment: released?.id };
        if (released !== null) await record({ ...entry, action: 'user.released', details });
        return released;
      });
      const letGo = () =>
        changeAudited(sql, async (tx, record) => {
          const released = await releaseRuns(tx, { userId: user.id, limit: batch });
          const details = { ...by.details, runs: released };
          if (released > 0) await record({ ...entry, action: 'runs.released', details });
          return released;
        });
      let runs = 0;
      for (let some = await letGo(); some > 0; some = await letGo()) runs += some;
      if (ended === null && runs === 0) throw new FlowstateError('conflict', `${user.email} is not contained`);
      await policy.refresh();
      return { userId: user.id, user: user.email, containment: ended?.id ?? null, runs, note };
    },

    async hold({ id, userId }) {
      await hold(userId, [id], { id: null }, true);
    },
  };
}
