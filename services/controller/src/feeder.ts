import { queueNames, type QueueName } from '@flowstate/contracts';
import type { RunQueues } from '@flowstate/queue';
import {
  dueGroups,
  dueRuns,
  handOver,
  lockFeeding,
  readQueueStates,
  wakeDueRuns,
  type Db,
  type DueGroup,
  type DueRun,
  type Lanes,
  type QueueState,
  type Sql,
} from '@flowstate/store';
import { readCaps, type Caps } from './caps.ts';
import { createFairLine, type FairLine } from './fair-line.ts';
import { createQueueWindow, type QueueWindow } from './queue-window.ts';

type Options = {
  sql: Sql;
  queues: RunQueues;
  lanes: Pick<Lanes, 'laneOf' | 'concurrency'>;
  /** Jobs of one queue that may wait in Redis at most; undefined: as many as the live workers make sensible. */
  windowSize?: number | undefined;
  onFed: (queue: QueueName, runs: number) => void;
};

export type Feeder = {
  /** Hands due runs to the queues, and wakes those whose timer has gone off. True while there may be more. */
  feed(): Promise<boolean>;
  windowSize(queue: QueueName): number;
};

/** Runs handed over in one statement at most. */
const batch = 500;
/** How far behind runs that wait for their key others are looked for, in one principal's runs of one workflow. */
const lookAhead = 1_000;

/** Puts the ledger's line into the queues: fairly between principals, within the caps, and no more than the window. */
export function createFeeder({ sql, queues, lanes, windowSize, onFed }: Options): Feeder {
  const concurrency = () => lanes.concurrency();
  const max = () => windowSize ?? Math.max(512, 4 * concurrency());
  const feeding = Object.fromEntries(
    queueNames.map((queue) => [
      queue,
      { line: createFairLine(), window: createQueueWindow({ sql, max, concurrency }), paused: undefined },
    ]),
  ) as Record<QueueName, { line: FairLine; window: QueueWindow; paused: boolean | undefined }>;

  async function feedQueue(state: QueueState): Promise<boolean> {
    const { queue } = state;
    const own = feeding[queue];
    // Again and again while it is paused: Redis may have been flushed, lanes may have come.
    if (state.paused || own.paused !== false) await queues.setPaused(queue, state.paused);
    own.paused = state.paused;
    const waiting = await queues.waiting(queue);
    const room = own.window.room(state, waiting);
    const { deliveries, left } = await sql.begin(async (tx) => {
      await lockFeeding(tx);
      const chosen = await choose(tx, queue, Math.min(batch, room));
      return { deliveries: await handOver(tx, chosen.runs), left: chosen.left };
    });
    await queues.deliver(deliveries, state.round);
    await own.window.passed(state, { waiting, fed: deliveries.length, open: !left });
    if (deliveries.length > 0) onFed(queue, deliveries.length);
    // Workers that emptied the window between two passes must not wait for the next.
    return left && deliveries.length > 0 && waiting < own.window.size() / 2;
  }

  /** The next runs in line; `left`: more could go on, were there room. */
  async function choose(
    db: Db,
    queue: QueueName,
    room: number,
  ): Promise<{ runs: (DueRun & { capped: boolean })[]; left: boolean }> {
    const groups = (await dueGroups(db, queue)).filter(isCarried);
    if (groups.length === 0) return { runs: [], left: false };
    const caps = await readCaps(db, [...new Set(groups.map(({ principalId }) => principalId))]);
    const free = groups.filter((group) => caps.left(group) > 0);
    if (free.length === 0 || room === 0) return { runs: [], left: free.length > 0 };

    const share = shares(free, room, caps);
    const reading = free.map((group) => ({
      ...group,
      read: caps.perKey(group) ? lookAhead : Math.min(caps.left(group), share(group)),
    }));
    const found = await dueRuns(db, queue, reading);
    const picked = feeding[queue].line.pick(found, room, caps);
    const read = Map.groupBy(found, groupKey);
    const cut = reading.some(
      (group) => group.read === share(group) && read.get(groupKey(group))?.length === group.read,
    );
    return {
      runs: picked.map((run) => ({ ...run, capped: caps.applies(run) })),
      left: picked.length === room || cut,
    };
  }

  /** A version nobody carries waits; with no worker at all everything may, for those that come. */
  function isCarried({ workflowId }: DueGroup): boolean {
    return lanes.laneOf({ workflowId, suspect: false }) !== null;
  }

  return {
    async feed() {
      let more = (await wakeDueRuns(sql, batch)) === batch;
      for (const state of await readQueueStates(sql)) more = (await feedQueue(state)) || more;
      return more;
    },
    windowSize: (queue) => feeding[queue].window.size(),
  };
}

/** Runs worth reading of a principal: some times its share of the room, since others may have fewer than theirs. */
function shares(groups: readonly DueGroup[], room: number, caps: Pick<Caps, 'weight'>) {
  const principals = new Set(groups.map(({ principalId }) => principalId));
  const total = [...principals].reduce((sum, id) => sum + caps.weight(id), 0);
  return ({ principalId }: DueGroup) => Math.min(room, Math.ceil((4 * room * caps.weight(principalId)) / total));
}

function groupKey({ principalId, workflowId, priority }: Pick<DueGroup, 'principalId' | 'workflowId' | 'priority'>) {
  return `${principalId} ${workflowId} ${priority}`;
}
