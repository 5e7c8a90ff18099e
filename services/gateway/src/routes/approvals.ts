import {
  Approval,
  ApprovalBody,
  ApprovalDecisionBody,
  ApprovalQuery,
  approvalSignal,
  checkNumbers,
  checkOnce,
  FlowstateError,
  IdParams,
  invalidInput,
  Page,
  type DecisionSignal,
  type Principal,
} from '@flowstate/contracts';
import { askApproval, decideApproval, listApprovals, readApproval, sendSignal } from '@flowstate/store';
import { principalOf } from '../access.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { readIdCursor, toPage } from '../list-page.ts';
import { recordedChange } from '../recorded-change.ts';
import { seesAllRuns } from '../runs/run-service.ts';

const tags = ['approvals'];

/** What agents ask before they do it, and what people answer. */
export function approvalRoutes(app: App, { sql, audit, runs }: Pick<Deps, 'sql' | 'audit' | 'runs'>): void {
  app.post(
    '/api/approvals',
    {
      schema: {
        tags,
        summary: 'Ask a person before a tool is called; for runs only',
        description: 'Once per step of a run: asked again, the question keeps its id.',
        body: ApprovalBody,
        response: { 200: Approval },
      },
    },
    async (request) => {
      const runId = runOf(principalOf(request));
      const { step, tool, inputSchema } = request.body;
      // Nobody is asked about something the tool would refuse.
      const input = checkOnce(inputSchema, request.body.input, { root: 'input', schemaField: 'inputSchema' });
      const id = await askApproval(sql, { runId, step, tool, input, inputSchema });
      if (id === null) throw new FlowstateError('conflict', `Something else was asked for the step ${step}`);
      return mustRead(id, principalOf(request));
    },
  );

  app.get(
    '/api/approvals',
    {
      schema: {
        tags,
        summary: 'What waits for a decision (or with `state=all`, what was asked), newest first',
        querystring: ApprovalQuery,
        response: { 200: Page(Approval) },
      },
    },
    async (request) => {
      const { state = 'open', run: runId, cursor, limit = 50 } = request.query;
      const principal = principalOf(request);
      const found = await listApprovals(sql, {
        open: state === 'open',
        runId,
        principalId: seesAllRuns(principal) ? undefined : principal.id,
        before: readIdCursor(cursor),
        limit: limit + 1,
      });
      return toPage(found, limit, ({ id }) => id);
    },
  );

  app.get(
    '/api/approvals/:id',
    { schema: { tags, summary: 'One question and its answer', params: IdParams, response: { 200: Approval } } },
    async (request) => mustRead(request.params.id, principalOf(request)),
  );

  app.post(
    '/api/approvals/:id/decision',
    {
      schema: {
        tags,
        summary: 'Approve, edit or refuse; the waiting run goes on',
        description: 'Not for runs of your own. An edited input must fit the schema of the tool.',
        params: IdParams,
        body: ApprovalDecisionBody,
        response: { 200: Approval },
      },
    },
    async (request) => {
      const principal = principalOf(request);
      const approval = await mustRead(request.params.id, principal);
      if (approval.askedBy === principal.id)
        throw new FlowstateError('forbidden', 'Nobody approves a run of their own');
      const signal = decisionOf(request.body, approval);
      const { id, run, step, tool } = approval;
      const { decision, reason = null } = signal;
      const woken = await recordedChange({ sql, audit }, request, async (tx, record) => {
        const settled = { id, decision, input: signal.input, reason, by: principal.id };
        if (!(await decideApproval(tx, settled))) throw new FlowstateError('conflict', await whyNot(id));
        const sent = { runId: run, name: approvalSignal(step), data: signal, principalId: principal.id };
        const told = await sendSignal(tx, sent);
        // It has ended since. A decision that nobody heard could never be made again, should the run be retried.
        if (told === null) throw new FlowstateError('conflict', 'The run is over');
        const details = { approval: id, step, tool, decision, ...(reason !== null && { reason }) };
        await record({ action: 'approval.decide', subject: run, details });
        return told.delivery;
      });
      if (woken !== null) await runs.wake(woken);
      return mustRead(id, principal);
    },
  );

  /** What the principal may not see is not there. */
  async function mustRead(id: string, principal: Principal): Promise<Approval> {
    const approval = await readApproval(sql, id);
    if (approval === null || !(seesAllRuns(principal) || approval.askedBy === principal.id)) {
      throw new FlowstateError('not_found', 'There is no such approval');
    }
    return approval;
  }

  async function whyNot(id: string): Promise<string> {
    const decision = (await readApproval(sql, id))?.decision ?? null;
    return decision === null ? 'The run is over' : `It was decided already: ${decision}`;
  }
}

function runOf({ via }: Principal): string {
  if ('run' in via) return via.run;
  throw new FlowstateError('forbidden', 'Only a run asks for approvals');
}

/** Throws `invalid_input` for a decision that contradicts itself, or an input the tool would not take. */
function decisionOf(body: ApprovalDecisionBody, { inputSchema }: Approval): DecisionSignal {
  const { decision, input, reason } = body;
  const given = reason !== undefined && { reason };
  if (decision !== 'edit') {
    if (input === undefined) return { decision, ...given };
    throw invalidInput([{ field: 'input', message: 'belongs to the decision `edit`' }]);
  }
  if (input === undefined) throw invalidInput([{ field: 'input', message: 'is required to edit' }]);
  checkNumbers(input, 'input');
  return { decision, input: checkOnce(inputSchema, input, { root: 'input', schemaField: 'inputSchema' }), ...given };
}
