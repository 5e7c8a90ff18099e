import {
  FlowstateError,
  IdParams,
  invalidInput,
  RecommendationFeedback,
  RecommendationFeedbackBody,
  RecommendationsAnswer,
  RecommendationsBody,
  type Principal,
} from '@flowstate/contracts';
import { findCustomer, findRecommendation, insertRecommendation, recordOpinion } from '@flowstate/store';
import { principalOf } from '../access.ts';
import type { Deps } from '../deps.ts';
import type { App } from '../gateway-app.ts';

type RecommendationDeps = Pick<Deps, 'sql' | 'recommender' | 'accessRules' | 'admission' | 'metrics'>;

/** What may help a customer next, and what was said of it. */
export function recommendationRoutes(app: App, deps: RecommendationDeps): void {
  const { sql, recommender, accessRules, admission, metrics } = deps;
  const tags = ['search'];

  /** Recommendations show other customers, so they are for whoever may read them, by the very rule of that route. */
  const mayReadCustomers = ({ role }: Principal) =>
    accessRules.allows(role, { method: 'GET', pattern: '/api/customers/:id' });

  app.post(
    '/api/search/recommendations',
    {
      config: { search: 'reads' },
      schema: {
        tags,
        summary: 'What may help a customer next',
        description:
          'Products to offer and documents to show, from what similar customers bought and what was called helpful for ' +
          'them, each with its reasons. For whoever may read customers; documents are those you may search.',
        body: RecommendationsBody,
        response: { 200: RecommendationsAnswer },
      },
    },
    async (request) => {
      const principal = principalOf(request);
      const customer = mayReadCustomers(principal) ? await findCustomer(sql, request.body.customerId) : null;
      if (customer === null) throw new FlowstateError('not_found', 'There is no such customer');
      const { id: customerId, externalId } = customer;
      const asking = { ceilings: admission.searchCeilings(principal), epoch: request.searchEpoch };
      const found = await recommender.recommend({ ...request.body, customerId }, principal, asking);
      const items = found.items.map(({ kind, item }) => ({ kind, item }));
      const id =
        request.body.asOf === undefined
          ? await insertRecommendation(sql, { customerId, principalId: principal.id, items })
          : null;
      return { id, customer: { id: customerId, externalId }, ...found };
    },
  );

  app.post(
    '/api/search/recommendations/:id/feedback',
    {
      schema: {
        tags,
        summary: 'Say whether a recommended item helped',
        description:
          'Once per principal, customer and item; said again, it changes. Later recommendations take it into account.',
        params: IdParams,
        body: RecommendationFeedbackBody,
        response: { 200: RecommendationFeedback },
      },
    },
    async (request) => {
      const principal = principalOf(request);
      const { kind, item, helpful } = request.body;
      const recommendation = mayReadCustomers(principal) ? await findRecommendation(sql, request.params.id) : null;
      const seesAll = principal.role === 'admin' || principal.role === 'manager';
      if (recommendation === null || !(seesAll || recommendation.principalId === principal.id)) {
        throw new FlowstateError('not_found', 'There is no such recommendation');
      }
      if (!recommendation.items.some((one) => one.kind === kind && one.item === item)) {
        throw invalidInput([{ field: 'item', message: `is no ${kind} of this recommendation` }]);
      }
      const { customerId } = recommendation;
      const outcome = await recordOpinion(sql, { customerId, principalId: principal.id, kind, item, helpful });
      if (outcome !== 'same') metrics.recommendationFeedback.inc({ kind, helpful: String(helpful) });
      return { kind, item, helpful, changed: outcome === 'changed' };
    },
  );
}
