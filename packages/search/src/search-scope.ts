import { FlowstateError, invalidInput, type Viewer } from '@flowstate/contracts';
import { findCollections, isOutdatedScope, NoCollectionError, type Collection, type Sql } from '@flowstate/store';
import { validityOf } from './cache-key.ts';

export type Models = {
  /** Whose embeddings can be compared with what is asked. */
  known: readonly string[];
  /** Of collections without embeddings. */
  first: string;
};

export type SearchScope = {
  /** What embedded them all, and embeds the query. */
  model: string;
  collections: Collection[];
  /** Of all of this: another one once any of it has changed (`validityOf`). */
  validity: string;
};

/**
 * What is searched, and its versions: read first, so that an answer is never older than its cache key says. Without a
 * name, all that the viewer sees and a known model embedded. Similarities by different models say nothing about each
 * other: then the collection must be named. Throws `not_found`, `conflict` (a model that is not known here) and
 * `invalid_input`.
 */
export async function chooseScope(
  sql: Sql,
  { known, first }: Models,
  name: string | undefined,
  viewer: Viewer,
): Promise<SearchScope> {
  const found = await findCollections(sql, name === undefined ? undefined : [name], viewer);
  if (name !== undefined) {
    const [collection] = found;
    if (collection === undefined) throw new NoCollectionError(name);
    if (collection.model === null) return scopeOf(first, []); // nothing embedded yet
    if (!known.includes(collection.model)) throw otherModel(collection, known.join(', '));
  }
  const collections = found.filter(({ model }) => model !== null && known.includes(model));
  const models = [...new Set(collections.flatMap(({ model }) => model ?? []))];
  if (models.length > 1) {
    const each = models.map((model) => {
      const names = collections.filter((collection) => collection.model === model).map((collection) => collection.name);
      return `${model} (${names.slice(0, 5).join(', ')}${names.length > 5 ? ', …' : ''})`;
    });
    const message = `is required: you see collections of several models, ${each.join('; ')}`;
    throw invalidInput([{ field: 'collection', message }]);
  }
  return scopeOf(models[0] ?? first, collections);
}

function scopeOf(model: string, collections: Collection[]): SearchScope {
  return { model, collections, validity: validityOf(collections) };
}

/** Access or models may change between what was chosen and the query: then it is chosen again. */
export async function inPresentScope<T>(ask: (again: boolean) => Promise<T>): Promise<T> {
  for (let left = 5; ; left -= 1) {
    try {
      return await ask(left < 5);
    } catch (error) {
      if (!isOutdatedScope(error)) throw error;
      if (left === 0) throw new FlowstateError('unavailable', 'The collections keep changing', { cause: error });
    }
  }
}

export function otherModel({ name, model, dimensions }: Collection, ours: string): FlowstateError {
  const theirs = `${model} (${dimensions} dimensions)`;
  return new FlowstateError('conflict', `Collection ${name} was embedded by ${theirs}, queries are by ${ours}`);
}
