import type { Viewer } from '@flowstate/contracts';
import type { Db } from '../client.ts';
import { lockManaged } from './manage.ts';

/** Deletes a collection with its documents and grants; says how many documents. Throws what `lockManaged` throws. */
export async function removeCollection(tx: Db, name: string, viewer: Viewer): Promise<number> {
  await lockManaged(tx, name, viewer, { alone: true });
  const { count } = await tx`DELETE FROM documents WHERE collection = ${name}`;
  await tx`DELETE FROM collections WHERE name = ${name}`;
  return count;
}
