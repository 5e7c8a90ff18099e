import { isUuid, type Evaluation, type EvaluationDetail } from '@flowstate/contracts';
import { InvalidArgumentError } from 'commander';
import type { GatewayClient } from '../gateway-client.ts';
import { CommandError } from '../terminal.ts';
import type { Dataset } from './dataset.ts';

/** What an evaluation is compared with: something that is run now, or one that is stored. */
export type Against =
  | { kind: 'offline' }
  | { kind: 'version'; version: string }
  | { kind: 'model'; model: string }
  | { kind: 'evaluation'; id: string };

export function readAgainst(text: string): Against {
  const [, kind, name] = /^(version|model):(.+)$/.exec(text) ?? [];
  if (text === 'offline') return { kind: 'offline' };
  if (kind === 'version') return { kind, version: name ?? '' };
  if (kind === 'model') return { kind, model: name ?? '' };
  if (isUuid(text)) return { kind: 'evaluation', id: text };
  throw new InvalidArgumentError('It must be offline, version:<version>, model:<model> or the id of an evaluation.');
}

/** A stored evaluation to compare with: by its id, or the newest in which the model answered. Throws `CommandError`. */
export async function storedEvaluation(
  client: GatewayClient,
  against: Extract<Against, { kind: 'model' | 'evaluation' }>,
  { workflow, dataset }: { workflow: string; dataset: Dataset },
): Promise<EvaluationDetail> {
  const id = against.kind === 'evaluation' ? against.id : await newestOf(client, against.model, workflow, dataset);
  const found = await client.request<EvaluationDetail>('GET', `/api/evaluations/${id}`);
  if (found.workflow !== workflow) throw new CommandError(`Evaluation ${id} is of ${found.workflow}.`);
  if (found.datasetHash !== dataset.hash) {
    throw new CommandError(`Evaluation ${id} was made on other cases (${found.dataset}): they cannot be paired.`);
  }
  return found;
}

async function newestOf(client: GatewayClient, model: string, workflow: string, dataset: Dataset): Promise<string> {
  const query = new URLSearchParams({ workflow, model, datasetHash: dataset.hash, limit: '1' });
  const { items } = await client.request<{ items: Evaluation[] }>('GET', `/api/evaluations?${query.toString()}`);
  const [newest] = items;
  if (newest !== undefined) return newest.id;
  throw new CommandError(
    `No stored evaluation of ${workflow} on these cases has answers by ${model}: evaluate it with LLM_MODEL=${model} first.`,
  );
}
