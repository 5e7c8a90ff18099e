import {
  CollectionName,
  defaultCollection,
  FlowstateError,
  invalidInput,
  Nullable,
  OneOf,
  type FieldError,
} from '@flowstate/contracts';
import type { Embedders } from '@flowstate/models';
import { defineWorkflow, StepError, type WorkflowContext } from '@flowstate/workflow';
import Type, { type Static } from 'typebox';
import { askIfPossible, authorship, mindField, type Mind } from '../agents/mind.ts';
import { SuggestedDocument, ticketDocumentAgent } from '../agents/ticket-document.ts';
import { createTicketClassifier } from '../agents/ticket-classifier.ts';
import { ticketReader } from '../agents/ticket-reader.ts';
import { Ticket, TicketLabels } from '../agents/ticket.ts';

const closed = { additionalProperties: false };

const TicketTriageInput = Type.Object(
  {
    tickets: Type.Array(Ticket, { minItems: 1, maxItems: 200 }),
    collection: Type.Optional(
      Type.Unsafe<string>({
        ...CollectionName,
        default: defaultCollection,
        description: 'where documents are suggested from',
      }),
    ),
    ...mindField,
  },
  closed,
);

const TriagedTicket = Type.Object(
  {
    id: Type.String(),
    labels: Nullable(TicketLabels),
    document: Nullable(SuggestedDocument),
    modelFailure: authorship.modelFailure,
    decidedBy: Nullable(OneOf(['model', 'classifier'])),
    error: Nullable(
      Type.Object(
        { code: Type.String(), message: Type.String() },
        { ...closed, description: 'why it was not triaged' },
      ),
    ),
  },
  closed,
);
type TriagedTicket = Static<typeof TriagedTicket>;

const TicketTriage = Type.Object(
  {
    tickets: Type.Array(TriagedTicket, { description: 'in the order they were given' }),
    failed: Type.Integer({ description: 'tickets that were not triaged; the others are' }),
  },
  closed,
);

/** Tickets worked on at the same time. */
const concurrency = 8;

/** Labels a batch of tickets. One that cannot be triaged is told as such and costs the others nothing. */
export function createTicketTriage({ first: embedder }: Pick<Embedders, 'first'>) {
  const classifier = createTicketClassifier(embedder);

  async function triage(
    ctx: WorkflowContext,
    ticket: Ticket,
    { collection, mind }: { collection: string; mind: Mind },
  ): Promise<TriagedTicket> {
    const { id } = ticket;
    const [{ answer, modelFailure }, { document }] = await ctx.all([
      askIfPossible(mind, () => ctx.ask(ticketReader, { ticket })),
      ctx.agent(ticketDocumentAgent, { ticket, collection }),
    ]);
    const by = { document, modelFailure, error: null };
    if (answer !== null) return { id, labels: answer, decidedBy: 'model', ...by };
    return { id, labels: await ctx.agent(classifier, { ticket }), decidedBy: 'classifier', ...by };
  }

  return defineWorkflow(
    {
      name: 'ticket-triage',
      version: '1',
      description: 'Category, priority, sentiment, team and a helpful document for each ticket of a batch',
      input: TicketTriageInput,
      output: TicketTriage,
    },
    async (ctx, { tickets, collection = defaultCollection, mind = 'model' }) => {
      refuseTwice(tickets);
      let done = 0;
      const triaged = await ctx.map(
        tickets,
        async (ticket, scope) => {
          const result = await triage(scope, ticket, { collection, mind }).catch((error: unknown) =>
            failed(ticket, error),
          );
          done += 1;
          ctx.progress({ tickets: done, of: tickets.length });
          return result;
        },
        { concurrency, name: 'ticket' },
      );
      return { tickets: triaged, failed: triaged.filter(({ error }) => error !== null).length };
    },
  );
}

/** What a step could not do is on record, so that a replay comes to the same; anything else ends the run. */
function failed({ id }: Ticket, error: unknown): TriagedTicket {
  if (!(error instanceof StepError)) throw error;
  const { cause, message } = error;
  const code = cause instanceof FlowstateError ? cause.code : 'step_error';
  return { id, labels: null, document: null, decidedBy: null, modelFailure: null, error: { code, message } };
}

function refuseTwice(tickets: readonly Ticket[]): void {
  const seen = new Set<string>();
  const errors = tickets.flatMap(({ id }, index): FieldError[] => {
    if (!seen.has(id)) return (seen.add(id), []);
    return [{ field: `input.tickets.${index}.id`, message: `is given twice: ${id}` }];
  });
  if (errors.length > 0) throw invalidInput(errors.slice(0, 50));
}
