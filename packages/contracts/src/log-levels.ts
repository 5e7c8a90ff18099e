import Type, { type Static } from 'typebox';
import { Nullable, OneOf, Reason, Timestamp } from './schema.ts';

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

export const serviceNames = ['gateway', 'worker', 'controller'] as const;
export type ServiceName = (typeof serviceNames)[number];

/** How much a service logs, where an administrator has said so. */
export const ServiceLogLevel = Type.Object(
  {
    service: OneOf(serviceNames),
    level: Nullable(OneOf(logLevels)),
    until: Nullable(Timestamp),
    reason: Nullable(Type.String()),
    updatedAt: Nullable(Timestamp),
    updatedBy: Nullable(Type.String()),
  },
  { $id: 'ServiceLogLevel', description: '`level` is null where each process has its own LOG_LEVEL' },
);
export type ServiceLogLevel = Static<typeof ServiceLogLevel>;

export const LogLevelBody = Type.Object(
  {
    level: OneOf(logLevels),
    services: Type.Optional(Type.Array(OneOf(serviceNames), { minItems: 1, maxItems: 3, uniqueItems: true })),
    seconds: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 30 * 24 * 3600, description: 'After that it goes back by itself' }),
    ),
    reason: Reason,
  },
  { additionalProperties: false },
);
export type LogLevelBody = Static<typeof LogLevelBody>;
