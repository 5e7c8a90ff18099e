import { FlowstateError, invalidInput, type Viewer } from '@flowstate/contracts';
import { findCollections, isOutdatedScope, NoCollectionError, type Collection, type Sql } from '@flowstate/store';
import { validityOf } from './cache-key.ts';

export type Models = {
  /** Whose embeddings can be compared with what is asked; `any`: the named collection's, whatever it is. */
  known: readonly string[] | 'any';
  /** Of collections without embeddings. */
  first: string;
  /** The asker has named it: a collection of another one is the asker's mistake. */
  named?: boolean;
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
 * name, all that the viewer sees and a known model embedded, by model: similarities by different ones say nothing about
 * each other. At least one, which has no collections where nothing is embedded yet. Throws `not_found`, `conflict` (a
 * model that is not known here) and `invalid_input`.
 */
export async function chooseScopes(
  sql: Sql,
  models: Models,
  name: string | undefined,
  viewer: Viewer,
): Promise<[SearchScope, ...SearchScope[]]> {
  const { known, first } = models;
  const found = await findCollections(sql, name === undefined ? undefined : [name], viewer);
  if (name !== undefined) {
    const [collection] = found;
    if (collection === undefined) throw new NoCollectionError(name);
    const { model } = collection;
    if (model === null) return [scopeOf(first, [])]; // nothing embedded yet
    if (known !== 'any' && !known.includes(model)) throw ofOtherModel(collection, model, { ...models, known });
    return [scopeOf(model, [collection])];
  }
  const scopes = (known === 'any' ? [] : known).flatMap((model) => {
    const collections = found.filter((collection) => collection.model === model);
    return collections.length === 0 ? [] : [scopeOf(model, collections)];
  });
  const [scope = scopeOf(first, []), ...others] = scopes;
  return [scope, ...others];
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

/** An embedding is of one model, and must say of which where there are several. */
export function ambiguousModel(scopes: readonly SearchScope[]): FlowstateError {
  const each = scopes.map(({ model, collections }) => {
    const names = collections.map(({ name }) => name);
    return `${model} (${names.slice(0, 5).join(', ')}${names.length > 5 ? ', …' : ''})`;
  });
  const message = `is required, or collection: you see collections of several models, ${each.join('; ')}`;
  return invalidInput([{ field: 'model', message }]);
}

/**
 * Those of the collections that such an embedding can be compared with: one from before a model had the same dimension in
 * all of them is in nobody's way. Throws `conflict` when none is left.
 */
export function ofDimensions({ model, collections }: SearchScope, dimensions: number): Collection[] {
  const fitting = collections.filter((collection) => collection.dimensions === dimensions);
  const [odd] = collections;
  if (fitting.length === 0 && odd !== undefined) throw otherModel(odd, `${model} (${dimensions} dimensions)`);
  return fitting;
}

function otherModel({ name, model, dimensions }: Collection, ours: string): FlowstateError {
  const theirs = `${model} (${dimensions} dimensions)`;
  return new FlowstateError('conflict', `Collection ${name} was embedded by ${theirs}, queries are by ${ours}`);
}

function ofOtherModel(
  collection: Collection,
  model: string,
  { known, named = false }: Models & { known: readonly string[] },
): FlowstateError {
  if (!named) return otherModel(collection, known.join(', '));
  return invalidInput([{ field: 'model', message: `must be ${model}: it embedded collection ${collection.name}` }]);
}
