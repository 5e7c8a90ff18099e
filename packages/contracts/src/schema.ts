import Type, { type Static, type TSchema } from 'typebox';
import { roles } from './roles.ts';

/** A string that is one of `values`, shown as an enum in OpenAPI. */
export function OneOf<const T extends readonly string[]>(values: T, options: Record<string, unknown> = {}) {
  return Type.Unsafe<T[number]>({ type: 'string', enum: [...values], ...options });
}

/** `schema` or null; for plain types as `type: [T, null]`, which reads better in OpenAPI and in errors than a union. */
export function Nullable<T extends TSchema>(schema: T) {
  const plain = schema as TSchema & { type?: string; enum?: unknown[]; $id?: string };
  if (typeof plain.type !== 'string' || plain.$id !== undefined) {
    return Type.Unsafe<Static<T> | null>(Type.Union([schema, Type.Null()]));
  }
  const values = plain.enum === undefined ? {} : { enum: [...plain.enum, null] };
  return Type.Unsafe<Static<T> | null>({ ...plain, ...values, type: [plain.type, 'null'] });
}

export const Id = Type.String({ format: 'uuid', description: 'UUIDv7' });

/** `:id` of a route. */
export const IdParams = Type.Object({ id: Id });

/** An id of ours, or the external id a row was imported with. */
export const AnyId = Type.String({ minLength: 1, maxLength: 255 });

export const Timestamp = Type.String({ format: 'date-time' });

export const RoleName = OneOf(roles);

/** Why an operator changes something. */
export const Reason = Type.String({ minLength: 3, maxLength: 500, description: 'Why; it stands in the audit log' });

/** For how long what an operator overrides stays so. */
export const OverrideSeconds = Type.Integer({
  minimum: 1,
  maximum: 30 * 24 * 3600,
  default: 3600,
  description: 'Until it ends by itself',
});

/** `?limit=&cursor=` of every list. */
export const pageQuery = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 50 })),
  cursor: Type.Optional(Type.String({ maxLength: 512 })),
};

/** A page of a list: newest first, `nextCursor` null at the end. */
export function Page<T extends TSchema>(item: T) {
  return Type.Object({ items: Type.Array(item), nextCursor: Nullable(Type.String()) });
}

/** The answer of a list that is never long enough for pages. */
export function WholeList<T extends TSchema>(item: T) {
  return Type.Object({ items: Type.Array(item), nextCursor: Type.Null() });
}

/** The body of every error answer (RFC 9457). */
export const Problem = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String(),
    detail: Type.String(),
    requestId: Type.String(),
    errors: Type.Optional(Type.Array(Type.Object({ field: Type.String(), message: Type.String() }))),
  },
  { $id: 'Problem' },
);

export type Problem = Static<typeof Problem>;
