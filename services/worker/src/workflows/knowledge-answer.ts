import { CollectionName } from '@flowstate/contracts';
import { defineWorkflow } from '@flowstate/workflow';
import Type from 'typebox';
import { answerInWords, answerWriter } from '../agents/answer-writer.ts';
import { CitedAnswer } from '../agents/cited-answer.ts';
import { extractiveAnswerAgent } from '../agents/extractive-answer.ts';
import { askIfPossible, authorship, mindField } from '../agents/mind.ts';
import { Question, retrievalAgent } from '../agents/retrieval.ts';

const KnowledgeAnswerInput = Type.Object(
  {
    question: Question,
    collection: Type.Optional(Type.Unsafe<string>({ ...CollectionName, description: 'default: all you may search' })),
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 20, default: 5, description: 'passages an answer may rest on' }),
    ),
    ...mindField,
  },
  { additionalProperties: false },
);

const KnowledgeAnswer = Type.Object(
  { question: Type.String(), ...CitedAnswer.properties, modelFailure: authorship.modelFailure },
  { additionalProperties: false },
);

/** Answers a question from the documents whoever asks may search, every sentence with the words it rests on. */
export const knowledgeAnswer = defineWorkflow(
  {
    name: 'knowledge-answer',
    version: '1',
    description: 'Answers a question from documents, with quotes; says so when they do not answer it',
    input: KnowledgeAnswerInput,
    output: KnowledgeAnswer,
  },
  async (ctx, { question, collection, limit = 5, mind = 'model' }) => {
    const where = collection === undefined ? {} : { collection };
    const { passages } = await ctx.agent(retrievalAgent, { question, ...where, limit });
    const { answer, modelFailure } = await askIfPossible(mind, async () => {
      // Nothing was found: there is nothing to ask about.
      const written = passages.length === 0 ? null : await ctx.ask(answerWriter, { question, passages });
      if (written === null) return null;
      return ctx.step('answer', () => answerInWords(written, passages), { retry: { attempts: 1 } });
    });
    const told = answer ?? (await ctx.agent(extractiveAnswerAgent, { question, passages }));
    return { question, ...told, modelFailure };
  },
);
