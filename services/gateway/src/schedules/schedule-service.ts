import {
  createInputChecks,
  FlowstateError,
  runStarters,
  type Principal,
  type Schedule,
  type ScheduleBody,
  type SchedulePatch,
} from '@flowstate/contracts';
import type { RunQueues } from '@flowstate/queue';
import {
  deleteSchedule,
  insertSchedule,
  listSchedules,
  pauseSchedule,
  postgresTime,
  readSchedule,
  readUser,
  triggerSchedule,
  updateSchedule,
  type Sql,
  type StoredSchedule,
} from '@flowstate/store';
import type { EntityLookup } from '../runs/entity-references.ts';
import type { WorkflowCatalogue } from '../runs/workflow-catalogue.ts';
import { checkSettings, fromBody, fromPatch } from './schedule-settings.ts';

type Options = {
  sql: Sql;
  queues: Pick<RunQueues, 'withdraw'>;
  catalogue: WorkflowCatalogue;
  entities: EntityLookup;
};

/** Schedules as routes use them; the controller fires them. */
export type ScheduleService = {
  create(body: ScheduleBody, principal: Principal): Promise<Schedule>;
  read(id: string): Promise<Schedule>;
  /** Newest first, those older than the id `before`. */
  list(page: { before: string | undefined; limit: number }): Promise<Schedule[]>;
  edit(id: string, patch: SchedulePatch, principal: Principal): Promise<Schedule>;
  remove(id: string): Promise<void>;
  /** Starts a run of it out of turn; returns the run's id. */
  trigger(id: string): Promise<string>;
};

export function createScheduleService({ sql, queues, catalogue, entities }: Options): ScheduleService {
  const checks = createInputChecks();

  async function mustRead(id: string): Promise<StoredSchedule> {
    return found(id, await readSchedule(sql, id));
  }

  return {
    async create(body, principal) {
      const now = await postgresTime(sql);
      const settings = await checkSettings(fromBody(body, principal, now), principal, now, { catalogue, entities });
      return shown(await insertSchedule(sql, settings));
    },
    read: async (id) => shown(await mustRead(id)),
    list: async (page) => (await listSchedules(sql, page)).map(shown),
    async edit(id, patch, principal) {
      if (patch.enabled === false && Object.keys(patch).length === 1) {
        return shown(found(id, await pauseSchedule(sql, id)));
      }
      const stored = await mustRead(id);
      const now = await postgresTime(sql);
      const ownerId = (await answersForIt(sql, stored, patch)) ? stored.ownerId : principal.id;
      const settings = fromPatch(stored, patch, ownerId);
      const checked = await checkSettings(settings, principal, now, { catalogue, entities });
      const updated = await updateSchedule(sql, id, stored.revision, checked);
      if (updated === null) throw new FlowstateError('conflict', 'Somebody else changed the schedule meanwhile');
      return shown(updated);
    },
    async remove(id) {
      if (!(await deleteSchedule(sql, id))) throw new FlowstateError('not_found', `There is no schedule ${id}`);
    },
    async trigger(id) {
      const { runId, ended } = await triggerSchedule(sql, id, checks);
      // A job that stays finds nothing.
      for (const { delivery } of ended) await queues.withdraw(delivery).catch(() => {});
      return runId;
    },
  };
}

/**
 * Whether the owner goes on answering for an edited schedule. Who says what it does becomes its owner: else a manager
 * could have an admin's authority do something of the manager's. So does who resumes what its owner cannot run any more.
 */
async function answersForIt(sql: Sql, { ownerId }: StoredSchedule, patch: SchedulePatch): Promise<boolean> {
  if (Object.keys(patch).some((field) => field !== 'enabled')) return false;
  const owner = await readUser(sql, ownerId);
  return owner !== null && owner.disabledAt === null && runStarters.includes(owner.role);
}

function found(id: string, schedule: StoredSchedule | null): StoredSchedule {
  if (schedule === null) throw new FlowstateError('not_found', `There is no schedule ${id}`);
  return schedule;
}

function shown({ revision: _revision, ...schedule }: StoredSchedule): Schedule {
  return schedule;
}
