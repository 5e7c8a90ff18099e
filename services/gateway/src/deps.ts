import type { Principal } from '@flowstate/contracts';
import type { RunQueues, RunSubscriber } from '@flowstate/queue';
import type { Logger } from '@flowstate/runtime';
import type { AuditRecorder, Containments, Identity, KeyRing, SessionAdmin } from '@flowstate/security';
import type { Recommender, ScopeEpoch, Search } from '@flowstate/search';
import type { Sql } from '@flowstate/store';
import type { Redis } from 'ioredis';
import type { AccessRules } from './access-rules.ts';
import type { AttemptCounter } from './attempts.ts';
import type { OnAuthFailure } from './auth-failure.ts';
import type { Flags } from './flags.ts';
import type { GatewayConfig } from './config.ts';
import type { KeyUse } from './key-use.ts';
import type { GatewayMetrics } from './metrics.ts';
import type { OpenStreams } from './open-streams.ts';
import type { RequestRates } from './request-rates.ts';
import type { Admission } from './runs/admission.ts';
import type { RunService } from './runs/run-service.ts';
import type { WorkflowCatalogue } from './runs/workflow-catalogue.ts';
import type { ScheduleService } from './schedules/schedule-service.ts';

/** What `main.ts` opens and hands to the routes; each route file picks what it needs. */
export type Deps = {
  config: GatewayConfig;
  log: Logger;
  sql: Sql;
  /** REDIS_URL: session copies, rate limits, run events. Commands fail at once while Redis is away. */
  redis: Redis;
  /** REDIS_CACHE_URL. */
  cache: Redis;
  /** Users, sessions, keys: who somebody is. */
  identity: Identity;
  /** Signs and verifies tokens. */
  keys: KeyRing;
  /** How often they are used. */
  keyUse: KeyUse;
  attempts: AttemptCounter;
  /** Who did what; nobody waits for it but administrators' changes. */
  audit: AuditRecorder;
  /** Counts and audits a failed authentication. */
  onFailure: OnAuthFailure;
  /** Who may call what at this moment. */
  accessRules: AccessRules;
  flags: Flags;
  rates: RequestRates;
  sessionAdmin: SessionAdmin;
  containments: Containments;
  streams: OpenStreams;
  runs: RunService;
  schedules: ScheduleService;
  catalogue: WorkflowCatalogue;
  admission: Admission;
  subscriber: RunSubscriber;
  queues: RunQueues;
  search: Search;
  /** Told whenever what searches may find has changed. */
  searchEpoch: ScopeEpoch;
  recommender: Recommender;
  metrics: GatewayMetrics;
  /** True once shutdown began: not ready, streams close. */
  draining: AbortSignal;
};

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by the access check before any handler of a closed route runs; null on open ones. */
    principal: Principal | null;
  }
}
