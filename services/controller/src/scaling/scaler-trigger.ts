import { invalidInput, toQueueName, type QueueName, type ScalingState } from '@flowstate/contracts';

/** `desired`: the decision itself, which the HPA only obeys. `load`: what there is, divided by what a worker does. */
const metrics = ['desired', 'load'] as const;
/** KEDA's own keys of the trigger: it sends the whole of its metadata. */
const kedaKeys = ['scalerAddress', 'enableTLS', 'unsafeSsl', 'caCert', 'tlsCertFile', 'tlsClientCert', 'tlsClientKey'];
const knownKeys = new Set(['queue', 'metric', ...kedaKeys]);
export type ScalerMetric = (typeof metrics)[number];

export type Trigger = { queue: QueueName; metric: ScalerMetric };

/**
 * What a ScaledObject's trigger asks for: `queue`, and `metric` when it is not the decision. Throws `invalid_input`
 * naming the field, a key that nobody knows included, and `not_found`.
 */
export function readTrigger(metadata: Readonly<Record<string, string>>): Trigger {
  const unknown = Object.keys(metadata).filter((key) => !knownKeys.has(key));
  if (unknown.length > 0) {
    throw invalidInput(unknown.map((key) => ({ field: `scalerMetadata.${key}`, message: 'is not known here' })));
  }
  const { queue = '', metric = 'desired' } = metadata;
  if (queue.trim() === '') throw invalidInput([{ field: 'scalerMetadata.queue', message: 'is required' }]);
  const known = metrics.find((name) => name === metric);
  if (known === undefined) {
    throw invalidInput([{ field: 'scalerMetadata.metric', message: `must be one of ${metrics.join(', ')}` }]);
  }
  return { queue: toQueueName(queue), metric: known };
}

/** The value and what one worker is to have of it. */
export function measure(metric: ScalerMetric, state: ScalingState): { value: number; target: number } {
  if (metric === 'desired') return { value: state.desired, target: 1 };
  return { value: state.load, target: state.concurrency * state.policy.utilisation };
}
