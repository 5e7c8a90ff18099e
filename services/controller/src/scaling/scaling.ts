import type { RunQueues } from '@flowstate/queue';
import type { Logger } from '@flowstate/runtime';
import { connectionsPerPooledWorker, connectionsPerWorker } from '@flowstate/scaling';
import { isPooled, type Sql } from '@flowstate/store';
import type { Registry } from '@prometheus-io/client';
import type { FastifyInstance } from 'fastify';
import type { Census } from '../census.ts';
import type { ControllerConfig } from '../config.ts';
import { createActivity } from './activity.ts';
import { createScalingAnswers } from './answers.ts';
import { createScalingDecider } from './decider.ts';
import { createPodCosts, markEveryMs } from './pod-costs.ts';
import type { Scaler } from './scaler.ts';
import { createScalerTokenCheck } from './scaler-token.ts';
import { measureScaling } from './scaling-metrics.ts';
import { scalingRoute } from './scaling-route.ts';
import { readKubernetes, readPolicies, readScalerTls } from './scaling-settings.ts';

type Options = {
  config: ControllerConfig;
  sql: Sql;
  queues: RunQueues;
  census: Census;
  registry: Registry;
  log: Logger;
};

export type Scaling = {
  /** The leader's: decides anew. */
  decide(): Promise<void>;
  /** The leader's: marks pods by what they have in hand; undefined where there are none to mark. */
  markPods: { everyMs: number; work: () => Promise<void> } | undefined;
  /** Adds `GET /scaling/:queue`. */
  serve(app: FastifyInstance): void;
  /** Opens the scaler's port, when there is something by which to know who asks. */
  listen(): Promise<void>;
  stop(): Promise<void>;
};

/** How many workers there should be: decided by the leader, answered by every controller. */
export function createScaling({ config, sql, queues, census, registry, log }: Options): Scaling {
  const answers = createScalingAnswers({ sql, queues });
  const activity = createActivity({ answers, queues, log });
  const { SCALER_TOKEN: token, HOST: host, SCALER_PORT: port } = config;
  const tls = readScalerTls(config);
  const kubernetes = readKubernetes(config);
  measureScaling(registry, answers, log);
  let scaler: Scaler | undefined;

  return {
    decide: createScalingDecider({
      sql,
      queues,
      census,
      policies: readPolicies(config),
      provider: { requests: config.LLM_REQUESTS_PER_MINUTE, tokens: config.LLM_TOKENS_PER_MINUTE },
      connectionsPerWorker: isPooled(config.DATABASE_URL) ? connectionsPerPooledWorker : connectionsPerWorker,
    }),
    markPods: kubernetes && {
      everyMs: markEveryMs,
      work: createPodCosts({ sql, api: kubernetes, registry, log }),
    },
    serve: (app) =>
      scalingRoute(app, { answers, checkToken: createScalerTokenCheck({ token, clientCertificates: false }) }),
    async listen() {
      const clientCertificates = tls?.ca !== undefined;
      if (token === undefined && !clientCertificates) {
        log.info('the scaler stays closed: neither SCALER_TOKEN nor SCALER_TLS_CA is set');
        return;
      }
      const checkToken = createScalerTokenCheck({ token, clientCertificates });
      // Here and not above: gRPC, a tenth of what a controller loads, is for those who open the port.
      const { startScaler } = await import('./scaler.ts');
      scaler = await startScaler({ host, port, tls, checkToken, answers, activity, log });
      log.info({ port: scaler.port, tls: tls !== undefined }, 'scaler ready');
    },
    async stop() {
      await Promise.all([activity.stop(), scaler?.stop()]);
    },
  };
}
