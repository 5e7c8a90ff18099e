import Type, { type Static } from 'typebox';
import { Nullable, OneOf, pageQuery, Timestamp } from './schema.ts';

export const auditOutcomes = ['success', 'denied', 'failed'] as const;

const text = Type.String({ minLength: 1, maxLength: 512, pattern: '^[^\\u0000]*$' });
const filter = {
  actor: Type.Optional(text),
  subject: Type.Optional(text),
  action: Type.Optional(text),
  outcome: Type.Optional(OneOf(auditOutcomes)),
  from: Type.Optional(Timestamp),
  to: Type.Optional(Timestamp),
};

export const AuditQuery = Type.Object({ ...pageQuery, ...filter });
export const AuditExportQuery = Type.Object(filter);

const Details = Nullable(Type.Object({}, { additionalProperties: true }));

export const AuditRecord = Type.Object(
  {
    id: Type.String(),
    at: Timestamp,
    action: Type.String(),
    actor: Nullable(Type.String({ description: 'Id of the user; null when nobody proved to be anybody' })),
    subject: Nullable(Type.String({ description: 'What it was done to' })),
    outcome: OneOf(auditOutcomes),
    details: Details,
    personal: Type.Unsafe<Static<typeof Details>>({
      ...Details,
      description: 'Address, e-mail, user agent; null once erased',
    }),
  },
  { $id: 'AuditRecord' },
);
export type AuditRecord = Static<typeof AuditRecord>;

export const AuditVerifyQuery = Type.Object({
  head: Type.Optional(
    Type.String({ pattern: '^[0-9a-f]{64}$', description: 'A head noted earlier that must be in the chain' }),
  ),
});

export const AuditVerdict = Type.Object(
  {
    ok: Type.Boolean(),
    head: Nullable(Type.Object({ number: Type.Integer(), hash: Type.String(), total: Type.Integer() })),
    seals: Type.Integer(),
    entries: Type.Integer({ description: 'Entries in the chain' }),
    pending: Type.Integer({ description: 'Entries too young to be sealed' }),
    erased: Type.Integer({ description: 'Entries whose personal data was erased' }),
    findings: Type.Array(
      Type.Object({
        kind: Type.String(),
        entry: Nullable(Type.String()),
        seal: Nullable(Type.Integer()),
        detail: Type.String(),
      }),
    ),
  },
  { $id: 'AuditVerdict' },
);
export type AuditVerdict = Static<typeof AuditVerdict>;

export const AuditEraseBody = Type.Object({
  subject: Type.String({
    minLength: 1,
    maxLength: 512,
    pattern: '^[^\\u0000]*$',
    description: 'User id or e-mail address',
  }),
});
export const AuditEraseAnswer = Type.Object({ subject: Type.String(), entries: Type.Integer() });
export type AuditEraseAnswer = Static<typeof AuditEraseAnswer>;
