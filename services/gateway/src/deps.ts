import type { Delivery, Principal, ResolveBody, RunWebhook } from '@flowstate/contracts';
import type { RunQueues, RunSubscriber } from '@flowstate/queue';
import type { Logger } from '@flowstate/runtime';
import type { AuditRecorder, Containments, Identity, KeyRing, SessionAdmin } from '@flowstate/security';
import type { Recommender, ScopeEpoch, Search } from '@flowstate/search';
import type { BulkAction, Sql, StoredRun } from '@flowstate/store';
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
import type { WorkflowCatalogue } from './runs/workflow-catalogue.ts';
import type { ScheduleService } from './schedules/schedule-service.ts';

export type StartRun = {
  workflow: string;
  /** Default: the newest. */
  version?: string;
  input: unknown;
  principal: Principal;
  priority?: number;
  delayMs?: number;
  tags?: string[];
  ttlMs?: number;
  /** Told when the run ends. */
  webhookUrl?: string;
  concurrencyKey?: string;
  /** The run that starts it as its child. */
  parentId?: string;
  /** From the `Idempotency-Key` header; a replay with the same body answers the same run. */
  idempotency?: { route: string; key: string; body: unknown };
  traceparent?: string;
  /** Incarnation of the worker that asked for the run and begins it at once, without the queue. */
  owner?: number;
};

/** Runs as routes use them. What the principal may not see answers `not_found`. */
export type RunService = {
  /** Validates, commits, then enqueues. */
  start(request: StartRun): Promise<{ run: StoredRun; replayed: boolean }>;
  read(id: string, principal: Principal): Promise<StoredRun>;
  cancel(id: string, principal: Principal): Promise<StoredRun>;
  /** Sends a run something it waits for, now or later. */
  signal(id: string, signal: { name: string; data: unknown }, principal: Principal): Promise<StoredRun>;
  /** Settles a parked run. */
  resolve(id: string, resolution: ResolveBody, principal: Principal): Promise<StoredRun>;
  /** A new run that begins with what this one had on record before `fromStep`. */
  fork(id: string, from: { fromStep: string }, principal: Principal): Promise<StoredRun>;
  /** A failed run goes on from its failed step as a new attempt. */
  retry(id: string, principal: Principal): Promise<StoredRun>;
  /** After commit: a run that news woke is handed to the queue. */
  wake(delivery: Delivery): Promise<void>;
  /** How the run's end is being told. */
  webhook(id: string, principal: Principal): Promise<RunWebhook>;
  /** Tells the run's end again, under the same id. */
  redeliver(id: string, principal: Principal): Promise<RunWebhook>;
  /** Cancels or retries many at once, which the caller has made sure the principal may; returns the ids it changed. */
  change(action: BulkAction, ids: string[], principal: Principal): Promise<string[]>;
};

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
