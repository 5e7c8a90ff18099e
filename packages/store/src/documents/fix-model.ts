import type { Db } from '../client.ts';
import type { Collection } from './collections.ts';

export type FixedModel = Pick<Collection, 'name' | 'model' | 'dimensions'>;

/**
 * Gives collections without a model this one, and answers what each has. One whose vectors have another dimension than
 * the model has elsewhere gets none: it is answered as if it had the right one.
 */
export async function fixModel(
  tx: Db,
  model: string,
  used: [name: string, dimensions: number][],
): Promise<Map<string, FixedModel>> {
  // The first vector decides where none has yet.
  const dimensions = new Map(used.toReversed());
  const names = [...dimensions.keys()].toSorted();
  const found = await read(tx, names);
  const open = found.filter((collection) => collection.model === null);
  if (open.length === 0) return byName(found);
  let known = await lockModelDimensions(tx, model);
  const refused = new Map<string, FixedModel>();
  for (const { name } of open) {
    const own = dimensions.get(name) ?? 0;
    known ??= own;
    if (own === known) {
      await tx`
        UPDATE collections SET model = ${model}, dimensions = ${own} WHERE name = ${name} AND model IS NULL`;
    } else {
      refused.set(name, { name, model, dimensions: known });
    }
  }
  return new Map([...refused, ...byName((await read(tx, names)).filter(({ model: fixed }) => fixed !== null))]);
}

/**
 * The dimension of a model in all collections, null while none has it. Nobody else gives a collection this model before
 * the transaction ends.
 */
export async function lockModelDimensions(tx: Db, model: string): Promise<number | null> {
  const [row] = await tx<{ dimensions: number | null }[]>`SELECT lock_model_dimensions(${model}) AS dimensions`;
  return row?.dimensions ?? null;
}

async function read(tx: Db, names: readonly string[]): Promise<FixedModel[]> {
  return await tx<FixedModel[]>`
    SELECT name, model, dimensions FROM collections WHERE name = ANY(${[...names]}) ORDER BY name`;
}

function byName(collections: readonly FixedModel[]): Map<string, FixedModel> {
  return new Map(collections.map((collection) => [collection.name, collection]));
}
