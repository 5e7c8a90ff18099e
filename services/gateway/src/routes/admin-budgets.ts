import {
  Budget,
  BudgetBody,
  BudgetKey,
  BudgetState,
  FlowstateError,
  invalidInput,
  isUuid,
  toBudget,
  toStoredBudget,
  toUsd,
  WholeList,
} from '@flowstate/contracts';
import { deleteBudget, listBudgets, putBudget, readRun, readUser } from '@flowstate/store';
import Type from 'typebox';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';
import { recordedChange } from '../recorded-change.ts';

const tags = ['admin'];

/** What language models may cost. In force from the next call on; runs that wait for a budget go on within seconds. */
export function adminBudgetRoutes(
  app: App,
  { sql, audit, catalogue }: Pick<Deps, 'sql' | 'audit' | 'catalogue'>,
): void {
  app.get(
    '/api/admin/budgets',
    {
      schema: {
        tags,
        summary: 'Budgets that were set, and what is spent of them',
        response: { 200: WholeList(BudgetState) },
      },
    },
    async () => {
      const budgets = await listBudgets(sql);
      const items = budgets.map(({ spentTokens, spentMicroUsd, pausedRuns, ...budget }) => ({
        ...toBudget(budget),
        spentTokens,
        spentUsd: toUsd(spentMicroUsd),
        pausedRuns,
      }));
      return { items, nextCursor: null };
    },
  );
  app.put(
    '/api/admin/budgets',
    {
      schema: {
        tags,
        summary: 'Set a budget, in place of the one it had',
        body: BudgetBody,
        response: { 200: Budget },
      },
    },
    async (request) => {
      const budget = toStoredBudget(request.body);
      await checkSubject(budget);
      await recordedChange({ sql, audit }, request, async (tx, record) => {
        await putBudget(tx, budget);
        const { level, subject, ...details } = toBudget(budget);
        await record({ action: 'budget.set', subject: `${level}:${subject}`, details });
      });
      return toBudget(budget);
    },
  );
  app.delete(
    '/api/admin/budgets',
    {
      schema: {
        tags,
        summary: 'Take a budget back',
        querystring: Type.Object({
          level: BudgetKey.properties.level,
          subject: Type.Optional(BudgetKey.properties.subject),
          period: BudgetKey.properties.period,
        }),
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const { level, subject = '', period } = request.query;
      await recordedChange({ sql, audit }, request, async (tx, record) => {
        if (!(await deleteBudget(tx, { level, subject, period })))
          throw new FlowstateError('not_found', 'There is no such budget');
        await record({ action: 'budget.removed', subject: `${level}:${subject}`, details: { period } });
      });
      return reply.code(204).send(null);
    },
  );

  /** A budget for nobody would be one that nobody notices. Models are named by their providers: any may come. */
  async function checkSubject({ level, subject }: BudgetKey): Promise<void> {
    if (subject === '') return;
    const refuse = (message: string) => invalidInput([{ field: 'subject', message }]);
    if (level === 'principal' && (!isUuid(subject) || (await readUser(sql, subject)) === null)) {
      throw refuse('is not the id of a user');
    }
    if (level === 'workflow' && !(await catalogue.list()).some(({ name }) => name === subject)) {
      throw refuse('is not a published workflow');
    }
    if (level === 'run' && (!isUuid(subject) || (await readRun(sql, subject)) === null)) {
      throw refuse('is not the id of a run');
    }
  }
}
