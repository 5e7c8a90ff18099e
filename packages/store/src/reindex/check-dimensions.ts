import { FlowstateError, type Viewer } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { lockModelDimensions } from '../documents/fix-model.ts';
import { nameHolder } from '../documents/model-holder.ts';

/**
 * Throws `conflict` where the model has another dimension in other collections, naming one if the viewer sees it. Until
 * the transaction ends nobody else gives a collection this model.
 */
export async function checkDimensions(
  tx: Db,
  { model, dimensions }: { model: string; dimensions: number },
  viewer: Viewer,
): Promise<void> {
  const elsewhere = await lockModelDimensions(tx, model);
  if (elsewhere === null || elsewhere === dimensions) return;
  const holder = await nameHolder(tx, { model, dimensions: elsewhere }, viewer);
  const message = `All by ${model} have ${elsewhere} dimensions ${holder}, the new embeddings ${dimensions}`;
  throw new FlowstateError('conflict', message);
}
