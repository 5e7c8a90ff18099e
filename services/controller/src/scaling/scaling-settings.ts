import { createCheck, invalidInput, PolicyChanges, queueNames, type FieldError } from '@flowstate/contracts';
import Type, { type Static } from 'typebox';
import { originOf, serviceAccountFolder, type KubernetesApi } from './kubernetes-pods.ts';
import { policiesWith, type Policies } from './policies.ts';
import type { ScalerTls } from './scaler.ts';

/** What the controller reads of scaling. PEM texts usually come as files: `SCALER_TLS_CERT_FILE` and so on. */
export const scalingSettings = {
  SCALER_PORT: Type.Integer({
    default: 8091,
    minimum: 0,
    maximum: 65535,
    description: "Port of KEDA's external scaler (gRPC); closed unless `SCALER_TOKEN` or `SCALER_TLS_CA` is set",
  }),
  SCALER_TOKEN: Type.Optional(
    Type.String({
      secret: true,
      description: 'Bearer that the autoscaler shows, to the scaler and to `GET /scaling/:queue`',
    }),
  ),
  SCALER_TLS_CERT: Type.Optional(
    Type.String({ description: "The scaler's certificate chain (PEM); without one it speaks plain HTTP/2" }),
  ),
  SCALER_TLS_KEY: Type.Optional(Type.String({ description: 'Its private key (PEM)' })),
  SCALER_TLS_CA: Type.Optional(
    Type.String({ description: 'Authorities (PEM) one of which must have signed the certificate of whoever asks' }),
  ),
  CONTROLLER_TLS_CERT: Type.Optional(
    Type.String({ description: 'Certificate chain (PEM) of `PORT`, which then speaks https: metrics and health too' }),
  ),
  CONTROLLER_TLS_KEY: Type.Optional(Type.String({ description: 'Its private key (PEM)' })),
  SCALING_POLICY: Type.Optional(
    Type.String({
      description:
        'JSON with what differs from the policy of `packages/scaling`: `{"workflows": {"max": 40, "waitGoalSeconds": 5}}`',
    }),
  ),
  POD_DELETION_COST: Type.Boolean({
    default: false,
    description:
      'In a Kubernetes cluster: marks worker pods by the runs they have in hand, so that idle ones leave first (`patch` of `pods/status`)',
  }),
  KUBERNETES_SERVICE_HOST: Type.Optional(
    Type.String({ description: 'Set by Kubernetes in each pod: its API server, asked with `POD_DELETION_COST` only' }),
  ),
  KUBERNETES_SERVICE_PORT: Type.Integer({
    default: 443,
    minimum: 1,
    maximum: 65535,
    description: 'Set by Kubernetes in each pod',
  }),
};

type Settings = Static<ReturnType<typeof Type.Object<typeof scalingSettings>>>;

const checkChanges = createCheck(PolicyChanges, { root: 'SCALING_POLICY' });

/** The policies in force here. Throws `invalid_input` naming the field. */
export function readPolicies({ SCALING_POLICY: text }: Pick<Settings, 'SCALING_POLICY'>): Policies {
  const policies = policiesWith(checkChanges(text === undefined ? {} : parse(text)));
  for (const queue of queueNames) {
    const { min, max } = policies[queue];
    if (min > max) {
      throw invalidInput([{ field: `SCALING_POLICY.${queue}.min`, message: `must not be above max, ${max}` }]);
    }
  }
  return policies;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalidInput([{ field: 'SCALING_POLICY', message: `must be JSON: ${(error as Error).message}` }]);
  }
}

/** The scaler's certificates; undefined without. Throws `invalid_input` when one half is missing. */
export function readScalerTls(settings: Settings): ScalerTls | undefined {
  const { SCALER_TLS_CA: ca } = settings;
  const pair = readPair('SCALER_TLS', settings.SCALER_TLS_CERT, settings.SCALER_TLS_KEY);
  if (pair !== undefined) return { ...pair, ca };
  if (ca === undefined) return undefined;
  throw invalidInput([{ field: 'SCALER_TLS_CERT', message: 'is required with SCALER_TLS_CA' }]);
}

/** The certificate of the HTTP port; undefined without. */
export function readHttpTls(settings: Settings): { cert: string; key: string } | undefined {
  return readPair('CONTROLLER_TLS', settings.CONTROLLER_TLS_CERT, settings.CONTROLLER_TLS_KEY);
}

function readPair(name: string, cert: string | undefined, key: string | undefined) {
  const missing: FieldError[] = [
    ...(cert === undefined && key !== undefined
      ? [{ field: `${name}_CERT`, message: `is required with ${name}_KEY` }]
      : []),
    ...(key === undefined && cert !== undefined
      ? [{ field: `${name}_KEY`, message: `is required with ${name}_CERT` }]
      : []),
  ];
  if (missing.length > 0) throw invalidInput(missing);
  return cert === undefined || key === undefined ? undefined : { cert, key };
}

/** Milliseconds for one request to Kubernetes. */
const kubernetesTimeoutMs = 2_000;

/** The API server of the cluster we run in; undefined where pods are not to be marked. */
export function readKubernetes(settings: Settings): KubernetesApi | undefined {
  const { POD_DELETION_COST: on, KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = settings;
  if (!on) return undefined;
  if (host === undefined) {
    const message = 'is required with POD_DELETION_COST: there is no Kubernetes around this process';
    throw invalidInput([{ field: 'KUBERNETES_SERVICE_HOST', message }]);
  }
  if (!URL.canParse(originOf({ host, port }))) {
    throw invalidInput([{ field: 'KUBERNETES_SERVICE_HOST', message: 'must be an address or a name' }]);
  }
  return { host, port, folder: serviceAccountFolder, timeoutMs: kubernetesTimeoutMs };
}
