import { FlowstateError, isTerminal, type Principal, type RunWebhook } from '@flowstate/contracts';
import { readWebhook, redeliverWebhook, type Sql, type StoredRun } from '@flowstate/store';

export type RunWebhooks = {
  /** How the run's end is being told. */
  webhook(id: string, principal: Principal): Promise<RunWebhook>;
  /** Tells the run's end again, under the same id. */
  redeliver(id: string, principal: Principal): Promise<RunWebhook>;
};

type Visible = (id: string, principal: Principal) => Promise<StoredRun>;

/** Reading and repeating how a run's end is told. Throws `not_found` for a run without a webhook. */
export function createRunWebhooks(sql: Sql, visible: Visible): RunWebhooks {
  async function mustRead(runId: string): Promise<RunWebhook> {
    const webhook = await readWebhook(sql, runId);
    if (webhook === null) throw new FlowstateError('not_found', `The run ${runId} has no webhook`);
    return webhook;
  }

  return {
    async webhook(id, principal) {
      return mustRead((await visible(id, principal)).id);
    },
    async redeliver(id, principal) {
      const run = await visible(id, principal);
      await mustRead(run.id);
      if (!isTerminal(run.state)) throw new FlowstateError('conflict', `The run has not ended, it is ${run.state}`);
      if (!(await redeliverWebhook(sql, run.id))) {
        throw new FlowstateError('conflict', 'A delivery is under way right now');
      }
      return mustRead(run.id);
    },
  };
}
