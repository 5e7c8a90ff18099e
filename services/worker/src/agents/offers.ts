import { AnyId, Nullable } from '@flowstate/contracts';
import { defineAgent } from '@flowstate/workflow';
import Type, { type Static } from 'typebox';
import { createCrm } from '../crm.ts';
import { rateOf, storedHistory } from './base-rates.ts';
import { Evidence } from './evidence.ts';
import { round } from './statistics.ts';

const closed = { additionalProperties: false };

/** A product the customer has neither bought nor on the table. */
const Offer = Type.Object(
  {
    product: Type.String(),
    share: Type.Number({ description: 'of customers like this one who bought it, estimated' }),
    buyers: Type.Array(Type.String(), { description: 'similar customers who bought it, by their ids' }),
    similar: Type.Array(Type.String(), { description: 'the similar customers, by their ids' }),
    averageAmount: Nullable(Type.Number({ description: 'of won opportunities with this product, USD' })),
    evidence: Evidence,
  },
  closed,
);
export type Offer = Static<typeof Offer>;

export const OffersResult = Type.Object({ offers: Type.Array(Offer) }, closed);

/** More offers than this is no advice. */
const maxOffers = 5;

/** Asks which products customers like this one bought, and what such a deal has been worth. */
export const offersAgent = defineAgent({
  name: 'offers',
  description: 'Products that similar customers bought, with the average amount of a won deal',
  input: Type.Object({ customerId: AnyId }, closed),
  output: OffersResult,
  async run(ctx, { customerId }) {
    const crm = createCrm(ctx.backend, ctx.signal);
    const [answer, rates] = await Promise.all([crm.productsToOffer(customerId, maxOffers), crm.baseRates()]);
    const history = storedHistory(rates);
    const similar = answer.similar.map(({ id }) => id);
    return {
      offers: answer.items.map(({ item: product, score, reasons }): Offer => {
        const { wonAmount, wonWithAmount } = rateOf(rates, 'product', product);
        const bySimilar = reasons.find(({ kind }) => kind === 'won-by-similar');
        return {
          product,
          share: round(score, 4),
          buyers: bySimilar?.customers.map(({ id }) => id) ?? [],
          similar,
          averageAmount: wonWithAmount === 0 ? null : round(wonAmount / wonWithAmount, 2),
          evidence: history.evidence('product', product),
        };
      }),
    };
  },
});
