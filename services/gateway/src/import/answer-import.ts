import { Readable } from 'node:stream';
import {
  FlowstateError,
  type ImportAnswer,
  type ImportCounts,
  type ImportLine,
  type ImportRejection,
} from '@flowstate/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { OpenStreams } from '../open-streams.ts';
import { toKnownError, toProblem } from '../problem.ts';
import { runImport, type ImportJob, type ImportStep } from './run-import.ts';

/** Milliseconds an import may take. */
export const longestImportMs = 60 * 60_000;
/** Rejections listed in a JSON answer. */
const maxListed = 1_000;
/**
 * Bytes of the answer that wait for a client which does not read yet. Many clients send the whole file first and read
 * then: up to this much they do not hold up their own import.
 */
const maxUnread = 16 * 1024 * 1024;

export type Importing = { job: ImportJob; asJson: boolean; streams: Pick<OpenStreams, 'whileAllowed'> };

/**
 * Runs the import and answers it: as NDJSON while it happens, or as one object at its end. Whoever may do so no more
 * while it is under way stores no further rows.
 */
export async function answerImport(
  request: FastifyRequest,
  reply: Pick<FastifyReply, 'type'>,
  { job, asJson, streams }: Importing,
): Promise<ImportAnswer | Readable> {
  const counts = { rows: 0, inserted: 0, updated: 0, unchanged: 0, rejected: 0 };
  const steps = streams.whileAllowed(request, runImport(job, counts));
  let first: First;
  try {
    // What is wrong with the file as a whole shows here, before anything was written or answered.
    first = await steps.next();
    if (asJson) return await collect(first, steps);
  } catch (error) {
    throw withCounts(error as Error, counts);
  }
  reply.type('application/x-ndjson; charset=utf-8');
  return Readable.from(toLines(first, steps, counts, request), { objectMode: false, highWaterMark: maxUnread });
}

type First = IteratorResult<ImportStep, void>;

async function* toLines(
  first: First,
  steps: AsyncGenerator<ImportStep>,
  counts: ImportCounts,
  request: FastifyRequest,
): AsyncGenerator<string> {
  const line = (value: ImportLine) => `${JSON.stringify(value)}\n`;
  try {
    if (!first.done) yield line(first.value);
    for await (const step of steps) yield line(step);
  } catch (error) {
    const known = toKnownError(error as Error);
    if (known.code === 'internal') request.log.error({ err: error as Error }, 'import failed');
    yield line({ error: toProblem(request, known), progress: { ...counts } });
  }
}

async function collect(first: First, steps: AsyncGenerator<ImportStep>): Promise<ImportAnswer> {
  const rejections: ImportRejection[] = [];
  for (let next = first; !next.done; next = await steps.next()) {
    const step = next.value;
    if ('entity' in step) return { ...step, rejections, truncated: step.rejected > rejections.length };
    if ('line' in step && rejections.length < maxListed) rejections.push(step);
  }
  throw new Error('an import ended without a summary');
}

/** Nothing of the answer was sent yet: whoever reads the problem must know what is stored all the same. */
function withCounts(error: Error, { inserted, updated }: ImportCounts): Error {
  const { code, message, errors } = toKnownError(error);
  if (code === 'internal' || inserted + updated === 0) return error;
  const said = `${message}. Before that ${inserted + updated} rows were stored; importing them again is safe`;
  return new FlowstateError(code, said, { cause: error, ...(errors && { errors }) });
}
