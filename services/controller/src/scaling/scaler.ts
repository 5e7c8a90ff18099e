import { fileURLToPath } from 'node:url';
import { FlowstateError, type ErrorCode } from '@flowstate/contracts';
import type { Logger } from '@flowstate/runtime';
import {
  loadPackageDefinition,
  Server,
  ServerCredentials,
  status,
  type GrpcObject,
  type Metadata,
  type sendUnaryData,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceClientConstructor,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { Activity } from './activity.ts';
import type { ScalingAnswers } from './answers.ts';
import type { ScalerTokenCheck } from './scaler-token.ts';
import { measure, readTrigger, type Trigger } from './scaler-trigger.ts';

type ScaledObjectRef = { name: string; namespace: string; scalerMetadata: Record<string, string> };
type MetricsRequest = { scaledObjectRef: ScaledObjectRef | null; metricName: string };

export type ScalerTls = { cert: string; key: string; ca: string | undefined };

type Options = {
  host: string;
  port: number;
  tls: ScalerTls | undefined;
  checkToken: ScalerTokenCheck;
  answers: ScalingAnswers;
  activity: Activity;
  log: Logger;
};

export type Scaler = {
  port: number;
  /** Ends streams in order, so that KEDA opens them elsewhere soon, and answers what was asked. */
  stop(): Promise<void>;
};

const stopMs = 2_000;
const codes: Partial<Record<ErrorCode, status>> = {
  invalid_input: status.INVALID_ARGUMENT,
  invalid_token: status.UNAUTHENTICATED,
  not_found: status.NOT_FOUND,
  unavailable: status.UNAVAILABLE,
};

/** KEDA's external scaler: hears of the first job at once, and obeys what was decided. */
export async function startScaler(options: Options): Promise<Scaler> {
  const { host, port, tls, checkToken, answers, activity, log } = options;
  const streams = new Set<ServerWritableStream<ScaledObjectRef, { result: boolean }>>();
  // A client that is gone without a word would be watched for ever.
  const server = new Server({ 'grpc.keepalive_time_ms': 60_000, 'grpc.keepalive_timeout_ms': 20_000 });

  function triggerOf(ref: ScaledObjectRef | null, metadata: Metadata): Trigger {
    const { tokenFromEnv, ...rest } = ref?.scalerMetadata ?? {};
    checkToken(metadata.get('authorization')[0]?.toString(), tokenFromEnv);
    return readTrigger(rest);
  }

  /** A unary call; what is thrown becomes its status, and what nobody expected is logged and told nobody. */
  function answering<Asked, Answer>(work: (request: Asked, metadata: Metadata) => Promise<Answer>) {
    return (call: ServerUnaryCall<Asked, Answer>, reply: sendUnaryData<Answer>): void => {
      work(call.request, call.metadata).then(
        (answer) => reply(null, answer),
        (error: unknown) => reply(toStatus(error)),
      );
    };
  }

  function toStatus(error: unknown): { code: status; details: string } {
    const code = error instanceof FlowstateError ? codes[error.code] : undefined;
    if (code !== undefined) return { code, details: (error as Error).message };
    log.error({ err: error }, 'scaler call failed');
    return { code: status.INTERNAL, details: 'Something went wrong here; see the log' };
  }

  server.addService(externalScaler().service, {
    isActive: answering(async (ref: ScaledObjectRef, metadata) => {
      const { queue } = triggerOf(ref, metadata);
      return { result: (await answers.of(queue)).desired > 0 };
    }),
    streamIsActive(call: ServerWritableStream<ScaledObjectRef, { result: boolean }>) {
      try {
        const { queue } = triggerOf(call.request, call.metadata);
        streams.add(call);
        const end = activity.watch(queue, () => call.write({ result: true }));
        // However it ends: by KEDA, by its connection, by us.
        call.once('close', () => {
          end();
          streams.delete(call);
        });
        call.once('cancelled', () => call.end());
      } catch (error) {
        call.emit('error', toStatus(error));
      }
    },
    getMetricSpec: answering(async (ref: ScaledObjectRef, metadata) => {
      const { queue, metric } = triggerOf(ref, metadata);
      // What to aim at for the decision is known whatever is away.
      const target = metric === 'desired' ? 1 : measure(metric, await answers.of(queue)).target;
      return { metricSpecs: [{ metricName: metric, targetSize: Math.ceil(target), targetSizeFloat: target }] };
    }),
    getMetrics: answering(async ({ scaledObjectRef, metricName }: MetricsRequest, metadata) => {
      const { queue, metric } = triggerOf(scaledObjectRef, metadata);
      if (metricName !== metric) {
        throw new FlowstateError('invalid_input', `metricName must be ${metric}, not ${JSON.stringify(metricName)}`);
      }
      const { value } = measure(metric, await answers.of(queue));
      return { metricValues: [{ metricName, metricValue: value, metricValueFloat: value }] };
    }),
  });

  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, credentialsOf(tls), (error, own) => (error ? reject(error) : resolve(own)));
  });
  return {
    port: bound,
    async stop() {
      for (const call of streams) call.end();
      const stopped = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      const force = setTimeout(() => server.forceShutdown(), stopMs);
      await stopped;
      clearTimeout(force);
    },
  };
}

function credentialsOf(tls: ScalerTls | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  const [key, cert, ca] = [tls.key, tls.cert, tls.ca].map((pem) => (pem === undefined ? null : Buffer.from(pem)));
  const pair = { private_key: key as Buffer, cert_chain: cert as Buffer };
  return ServerCredentials.createSsl(ca ?? null, [pair], tls.ca !== undefined);
}

function externalScaler(): ServiceClientConstructor {
  const file = fileURLToPath(new URL('external-scaler.proto', import.meta.url));
  const loaded = loadPackageDefinition(loadSync(file, { longs: Number, defaults: true }));
  return (loaded['externalscaler'] as GrpcObject)['ExternalScaler'] as ServiceClientConstructor;
}
