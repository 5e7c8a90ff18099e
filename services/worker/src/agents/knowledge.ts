import { defaultCollection, Nullable, OneOf, type SearchHit } from '@flowstate/contracts';
import { defineAgent } from '@flowstate/workflow';
import Type, { type Static } from 'typebox';
import { createCrm, type Crm } from '../crm.ts';
import { passageFor } from './passage.ts';

const closed = { additionalProperties: false };

const Issue = Type.Object(
  {
    kind: OneOf(['question', 'topic']),
    text: Type.String({ minLength: 1, maxLength: 1_000, pattern: '\\S' }),
    topic: Nullable(Type.String()),
    ids: Type.Array(Type.String(), { minItems: 1, description: 'the interactions that raise it' }),
  },
  closed,
);
export type Issue = Static<typeof Issue>;

const Citation = Type.Object(
  {
    documentId: Type.String(),
    externalId: Nullable(Type.String()),
    title: Nullable(Type.String()),
    similarity: Type.Number(),
    quote: Type.String({ description: 'part of the document’s text as it stands' }),
  },
  closed,
);
type Citation = Static<typeof Citation>;

export const KnowledgeResult = Type.Object(
  {
    issues: Type.Array(
      Type.Object(
        { ...Issue.properties, found: Type.Boolean(), note: Nullable(Type.String()), citations: Type.Array(Citation) },
        closed,
      ),
    ),
  },
  closed,
);
export type KnowledgeResult = Static<typeof KnowledgeResult>;

/** More issues than this and nobody reads the answers. */
export const maxIssues = 8;
const perIssue = 3;
/** Cosine similarity below which a document is about something else. */
const threshold = 0.3;
const nothing = 'Nothing relevant was found in the knowledge base.';

/** Finds documents that answer what the customer asks or complains about. */
export const knowledgeAgent = defineAgent({
  name: 'knowledge',
  description: 'Documents that answer open questions and unhappy topics, with citations',
  input: Type.Object({ issues: Type.Array(Issue, { maxItems: maxIssues }) }, closed),
  output: KnowledgeResult,
  async run(ctx, { issues }) {
    const crm = createCrm(ctx.backend, ctx.signal);
    return { issues: await Promise.all(issues.map((issue) => answer(crm, issue))) };
  },
});

async function answer(crm: Crm, issue: Issue): Promise<KnowledgeResult['issues'][number]> {
  const hits = await crm.search({ query: issue.text, collection: defaultCollection, limit: perIssue, threshold });
  const citations = hits.flatMap((hit) => citationOf(issue.text, hit));
  const found = citations.length > 0;
  return { ...issue, found, note: found ? null : nothing, citations };
}

function citationOf(query: string, { id, externalId, title, text, similarity }: SearchHit): Citation[] {
  const quote = passageFor(query, text);
  return quote === null
    ? []
    : [{ documentId: id, externalId, title, similarity: Math.round(similarity * 1e4) / 1e4, quote }];
}
