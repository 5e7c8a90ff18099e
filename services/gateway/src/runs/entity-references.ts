import { FlowstateError, type Role } from '@flowstate/contracts';

/** Looks up an entity by id or external id. */
export type EntityLookup = Readonly<
  Record<string, { exists: (id: string) => Promise<boolean>; readers: readonly Role[] }>
>;

type Property = { 'x-flowstate-entity'?: string };

/**
 * Top-level input fields that the workflow's schema marks with `x-flowstate-entity` must name something that exists
 * and that the principal may read: refused before anything is queued, not by an agent a second later.
 */
export async function checkEntityReferences(
  schema: Record<string, unknown>,
  input: unknown,
  role: Role,
  lookup: EntityLookup,
): Promise<void> {
  const properties = (schema.properties ?? {}) as Record<string, Property>;
  for (const [field, property] of Object.entries(properties)) {
    const entity = property['x-flowstate-entity'];
    const id = (input as Record<string, unknown> | null)?.[field];
    if (entity === undefined || typeof id !== 'string') continue;
    const known = lookup[entity];
    if (known === undefined) throw new Error(`The workflow's schema refers to an unknown entity: ${entity}`);
    if (!known.readers.includes(role)) {
      throw new FlowstateError('forbidden', `The role ${role} may not read the ${entity} this run is about`);
    }
    if (!(await known.exists(id))) {
      throw new FlowstateError('not_found', `There is no ${entity} ${id}`, {
        errors: [{ field: `input.${field}`, message: 'does not exist' }],
      });
    }
  }
}
