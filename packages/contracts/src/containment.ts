import Type, { type Static } from 'typebox';
import { Id, Nullable, OneOf, Reason, Timestamp } from './schema.ts';

/** Redis channel on which a change of access that is urgent is announced, after its commit. */
export const policyChannel = 'flowstate:policy';

const Subject = Type.String({
  maxLength: 260,
  pattern: '^(user|key):[^\\x00-\\x20]+$',
  description: '`user:` with an id or email, or `key:` with the id or prefix of an API key: whoever acts by it',
});

export const ContainBody = Type.Object(
  {
    subject: Subject,
    reason: Reason,
  },
  { additionalProperties: false },
);
export type ContainBody = Static<typeof ContainBody>;

export const ReleaseBody = Type.Object({ subject: Subject }, { additionalProperties: false });
export type ReleaseBody = Static<typeof ReleaseBody>;

const done = {
  id: Id,
  userId: Id,
  user: Type.String(),
  reason: Type.String(),
  containedAt: Timestamp,
  sessions: Type.Integer({ description: 'Logins ended' }),
  families: Type.Integer({ description: 'Refresh token families among them that could still be used' }),
  keys: Type.Integer({ description: 'API keys revoked' }),
  streams: Type.Integer({ description: 'Event streams closed, on all gateways' }),
  runs: Type.Object(
    { queued: Type.Integer(), running: Type.Integer(), waiting: Type.Integer() },
    {
      description: 'Runs put in quarantine, by what they were',
    },
  ),
  obeyedMs: Nullable(
    Type.Number({ description: 'Milliseconds until the last process obeyed; null: not all have yet' }),
  ),
  author: Nullable(Type.String({ description: 'null: by the command line, without a gateway' })),
  releasedAt: Nullable(Timestamp),
};

/** A containment on record. */
export const Containment = Type.Object(done, { $id: 'Containment' });
export type Containment = Static<typeof Containment>;

/** What a containment did, and which processes obey it. */
export const ContainmentReceipt = Type.Object(
  {
    ...done,
    left: Type.Integer({ description: 'Runs somebody held locked all the time: contain again' }),
    processes: Type.Array(
      Type.Object({
        kind: OneOf(['gateway', 'worker'] as const),
        id: Type.Integer(),
        host: Type.String(),
        pid: Type.Integer(),
        obeyedMs: Nullable(Type.Number({ description: 'null: it had not answered by then' })),
        silentMs: Type.Number({ description: 'Since it was last heard of' }),
      }),
    ),
  },
  { $id: 'ContainmentReceipt' },
);
export type ContainmentReceipt = Static<typeof ContainmentReceipt>;

export const ReleaseReceipt = Type.Object(
  {
    userId: Id,
    user: Type.String(),
    containment: Nullable(Id),
    runs: Type.Integer({ description: 'Runs that go on' }),
    note: Type.String(),
  },
  { $id: 'ReleaseReceipt' },
);
export type ReleaseReceipt = Static<typeof ReleaseReceipt>;
