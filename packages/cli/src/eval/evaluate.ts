import type {
  Document,
  EvaluatedCase,
  EvaluationBody,
  GraderName,
  Run,
  RunExplanation,
  WorkflowEntry,
} from '@flowstate/contracts';
import { followRun } from '../follow-run.ts';
import { Refused, type GatewayClient } from '../gateway-client.ts';
import { mapInOrder } from '../search-eval/evaluate-search.ts';
import { CommandError, exitCodes } from '../terminal.ts';
import type { Dataset, DatasetCase } from './dataset.ts';
import { withDocumentIds } from './document-ids.ts';
import { gradeCitations, type TextOf } from './graders/citation-supported.ts';
import { gradeExact } from './graders/exact.ts';
import { gradeFigures } from './graders/figure-match.ts';
import type { Grade } from './graders/grade.ts';
import { createSchemaGrader } from './graders/schema.ts';

export type EvaluationPlan = {
  workflow: string;
  /** Default: the newest. */
  version?: string;
  /** `offline`: runs are asked to do without a language model. */
  mind: EvaluationBody['mind'];
  /** Runs at a time. */
  concurrency: number;
  /** A run that has not ended by then is cancelled. */
  timeoutMs: number;
  /** Told after each case. */
  onCase?: (done: EvaluatedCase) => void;
};

const mostFaults = 20;
const faultLength = 500;

/** Runs every case of the dataset through the API and grades what comes out; one that does not complete scores nothing. */
export async function evaluate(client: GatewayClient, dataset: Dataset, plan: EvaluationPlan): Promise<EvaluationBody> {
  const query = plan.version === undefined ? '' : `?${new URLSearchParams({ version: plan.version }).toString()}`;
  const path = `/api/workflows/${encodeURIComponent(plan.workflow)}`;
  const workflow = await client.request<WorkflowEntry>('GET', path + query);
  const { version } = workflow;
  if (plan.mind === 'offline') refuseUnlessOptional(workflow);
  const gradeSchema = createSchemaGrader(workflow.output);
  const textOf = documentTexts(client);
  const models = new Set<string>();

  async function grade(name: GraderName, output: unknown, one: DatasetCase): Promise<Grade> {
    if (name === 'schema') return gradeSchema(output);
    if (name === 'exact') return gradeExact(output, one);
    if (name === 'figure-match') return gradeFigures(output, one);
    return gradeCitations(output, one, textOf);
  }

  async function runCase(one: DatasetCase): Promise<EvaluatedCase> {
    const given = (await withDocumentIds(client, one.input, one.line)) as Record<string, unknown>;
    const input = plan.mind === 'offline' ? { ...given, mind: 'offline' } : given;
    const body = { input, version, ttlMs: plan.timeoutMs, tags: ['evaluation'] };
    const started = await client.request<Run>('POST', `${path}/runs`, { json: body });
    const run = await followRun(client, started.id, () => {});
    const { models: called, costUsd } = await client.request<RunExplanation>('GET', `/api/runs/${run.id}/explain`);
    // Embeddings have no output.
    const languageModels = called.filter(({ outputTokens }) => outputTokens > 0);
    for (const { model } of languageModels) models.add(model);
    const failure = `run ${run.id} ${run.state}: ${run.error?.message ?? 'no reason given'}`;
    const scores: EvaluatedCase['scores'] = {};
    const faults: string[] = [];
    for (const name of one.graders) {
      const { score, faults: found } =
        run.state === 'completed' ? await grade(name, run.output, one) : { score: 0, faults: [] };
      scores[name] = score;
      faults.push(...found.map((fault) => `${name}: ${fault}`));
    }
    return {
      id: one.id,
      runId: run.id,
      state: run.state as EvaluatedCase['state'],
      scores,
      faults: [...(run.state === 'completed' ? [] : [failure]), ...faults]
        .slice(0, mostFaults)
        .map((fault) => fault.slice(0, faultLength).toWellFormed()),
      ms: run.finishedAt && run.startedAt ? Date.parse(run.finishedAt) - Date.parse(run.startedAt) : 0,
      inputTokens: languageModels.reduce((sum, { inputTokens }) => sum + inputTokens, 0),
      outputTokens: languageModels.reduce((sum, { outputTokens }) => sum + outputTokens, 0),
      costUsd,
    };
  }

  const cases = await mapInOrder(dataset.cases, plan.concurrency, async (one) => {
    const done = await runCase(one).catch((error: unknown) => {
      // The case is wrong, not what is judged: its line is where to look.
      if (error instanceof Refused) throw new CommandError(`${dataset.name}: line ${one.line}: ${error.message}`);
      throw error;
    });
    plan.onCase?.(done);
    return done;
  });
  return {
    workflow: workflow.name,
    version,
    dataset: dataset.name,
    datasetHash: dataset.hash,
    mind: plan.mind,
    models: [...models].toSorted(),
    cases,
  };
}

function refuseUnlessOptional({ name, version, input }: WorkflowEntry): void {
  const { properties = {} } = input as { properties?: Record<string, unknown> };
  if ('mind' in properties) return;
  throw new CommandError(`${name} ${version} has no choice between model and offline.`, exitCodes.usage);
}

function documentTexts(client: GatewayClient): TextOf {
  const texts = new Map<string, Promise<string | null>>();
  const read = async (id: string) => {
    try {
      return (await client.request<Document>('GET', `/api/documents/${encodeURIComponent(id)}`)).text;
    } catch (error) {
      if (error instanceof Refused && error.status === 404) return null;
      throw error;
    }
  };
  return (id) => {
    const text = texts.get(id) ?? read(id);
    texts.set(id, text);
    return text;
  };
}
