import { CollectionName, Nullable } from '@flowstate/contracts';
import { defineAgent } from '@flowstate/workflow';
import Type, { type Static } from 'typebox';
import { createCrm } from '../crm.ts';
import { passageFor } from './passage.ts';
import { round } from './statistics.ts';
import { Ticket } from './ticket.ts';

const closed = { additionalProperties: false };

/** A document that may help with a ticket, and which of its sentences. */
export const SuggestedDocument = Type.Object(
  {
    documentId: Type.String(),
    externalId: Nullable(Type.String()),
    title: Nullable(Type.String()),
    similarity: Type.Number(),
    quote: Type.String({ description: 'part of the document’s text as it stands' }),
  },
  closed,
);
export type SuggestedDocument = Static<typeof SuggestedDocument>;

/** A wrong suggestion costs more than none: nearer than what a search answers by default. */
const threshold = 0.35;
/** Of a ticket so many code units are searched for. */
const searched = 1_000;

/** Finds the document nearest to a ticket. */
export const ticketDocumentAgent = defineAgent({
  name: 'ticket-document',
  description: 'The document that may help with a ticket, if there is one',
  input: Type.Object({ ticket: Ticket, collection: CollectionName }, closed),
  output: Type.Object({ document: Nullable(SuggestedDocument) }, closed),
  async run(ctx, { ticket: { subject, text }, collection }) {
    const query = `${subject ?? ''}\n${text}`.trim().slice(0, searched).toWellFormed();
    const [hit] = await createCrm(ctx.backend, ctx.signal).search({ query, collection, limit: 1, threshold });
    const quote = hit === undefined ? null : passageFor(query, hit.text);
    if (hit === undefined || quote === null) return { document: null };
    const { id, externalId, title, similarity } = hit;
    return { document: { documentId: id, externalId, title, similarity: round(similarity, 4), quote } };
  },
});
