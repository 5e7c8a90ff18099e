import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { ourBehaviour } from '@flowstate/scaling';
import { ScaledObject, TriggerAuthentication } from '@kubernetes-models/keda/keda.sh/v1alpha1';
import { PodMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1';
import { Deployment } from 'kubernetes-models/apps/v1';
import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2';
import { Job } from 'kubernetes-models/batch/v1';
import { Ingress, NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1';
import { Service } from 'kubernetes-models/v1';
import t from 'tap';
import { parseAllDocuments } from 'yaml';
import { ControllerConfig } from '../services/controller/src/config.ts';
import { GatewayConfig } from '../services/gateway/src/config.ts';
import { WorkerConfig } from '../services/worker/src/config.ts';

const chart = fileURLToPath(new URL('../deploy/helm/flowstate', import.meta.url));
const schemas = {
  Deployment,
  HorizontalPodAutoscaler,
  Ingress,
  Job,
  NetworkPolicy,
  PodDisruptionBudget,
  PodMonitor,
  ScaledObject,
  Service,
  TriggerAuthentication,
};
const configs = { gateway: GatewayConfig, worker: WorkerConfig, controller: ControllerConfig } as const;

type Manifest = { kind: string; metadata: { name: string }; spec: Record<string, unknown> };

function helm(...args: string[]) {
  const { status, stdout, stderr } = spawnSync('helm', args, { encoding: 'utf8' });
  return { status, out: stdout, err: stderr };
}

/** What the chart makes of these values. */
function render(...values: string[]): Manifest[] {
  const set = values.flatMap((value) => ['--set', value]);
  const { status, out, err } = helm('template', 'test', chart, '--kube-version', '1.31.0', ...set);
  if (status !== 0) throw new Error(err);
  return parseAllDocuments(out).flatMap((document) => (document.toJS() as Manifest | null) ?? []);
}

const containerOf = (manifests: Manifest[], service: string) => {
  const found = manifests.find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === `test-${service}`);
  return new Deployment(found as never).spec?.template.spec?.containers[0];
};

if (helm('version').status !== 0) {
  t.pass('the chart', { skip: 'there is no helm here' });
} else {
  const everything = [
    'gateway.ingress.enabled=true',
    'gateway.ingress.host=x.example',
    'tracing.enabled=true',
    'controller.tlsSecret=scaler-tls',
    'auth.bootstrapAdminEmail=ops@x.example',
    'worker.secretEnv.LOG_SINK_HTTP_TOKEN=log-token',
    'llm.baseUrl=https://llm.example/v1',
    'embeddings.baseUrl=https://embeddings.example/v1',
  ];

  t.test('every manifest fits the schema of its kind, whatever is switched on', async (t) => {
    for (const values of [[], everything, ['worker.keda.enabled=false', 'gateway.autoscaling.enabled=false']]) {
      for (const manifest of render(...values)) {
        const Kind = schemas[manifest.kind as keyof typeof schemas];
        t.doesNotThrow(() => new Kind(manifest as never).validate(), `${manifest.kind} ${manifest.metadata.name}`);
      }
    }
    t.equal(helm('lint', chart).status, 0);
    const wrong = render().find(({ kind }) => kind === 'Deployment');
    t.throws(() => new Deployment({ ...wrong, spec: { replicas: 'many' } } as never).validate(), /replicas/);
  });

  t.test('services get variables they know, secrets by reference, and a heap that fits', async (t) => {
    const manifests = render(...everything);
    for (const [service, config] of Object.entries(configs)) {
      const container = containerOf(manifests, service);
      const names = (container?.env ?? []).map(({ name }) => name.replace(/_FILE$/, ''));
      const known = new Set(Object.keys(config.properties));
      const others = names.filter((name) => !known.has(name) && !/^(NODE_OPTIONS|OTEL_|SCALER_TOKEN)/.test(name));
      t.same(others, [], `${service} knows all it gets`);
      const required = config.required.filter((name) => !('default' in (config.properties as never)[name]));
      for (const name of required) t.ok(names.includes(name), `${service} gets ${name}`);
      t.equal(new Set(names).size, names.length, `${service} gets nothing twice`);
      for (const { name, value, valueFrom } of container?.env ?? []) {
        const { secret } = (config.properties as Record<string, { secret?: unknown }>)[name] ?? {};
        if (secret !== undefined || /^(DATABASE|REDIS)\w*_URL$|_(KEY|TOKEN)$/.test(name)) {
          t.ok(valueFrom?.secretKeyRef, `${service}: ${name} is a reference`);
          if (secret !== undefined) t.equal(value, undefined);
        }
      }
      t.match(container, {
        securityContext: { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false },
        readinessProbe: {},
        livenessProbe: {},
        startupProbe: {},
      });
    }
    const heap = (limit: string) =>
      containerOf(render(`worker.resources.limits.memory=${limit}`), 'worker')?.env?.find(
        ({ name }) => name === 'NODE_OPTIONS',
      )?.value;
    t.equal(heap('1Gi'), '--max-old-space-size=768');
    t.equal(heap('600Mi'), '--max-old-space-size=450');
    t.notOk(JSON.stringify(manifests).includes('postgres://'), 'no address stands in it');
  });

  t.test('workers follow the controller as the simulator has it; every replica is a target', async (t) => {
    const manifests = render();
    const scaled = new ScaledObject(manifests.find(({ kind }) => kind === 'ScaledObject') as never);
    const { scaleUp, scaleDown } = scaled.spec?.advanced?.horizontalPodAutoscalerConfig?.behavior ?? {};
    const rates = ({ pods, percent, periodSeconds }: typeof ourBehaviour.scaleUp) => [
      { type: 'Pods', value: pods, periodSeconds },
      { type: 'Percent', value: percent, periodSeconds },
    ];
    t.same(scaleUp?.policies, rates(ourBehaviour.scaleUp));
    t.same(scaleDown?.policies, rates(ourBehaviour.scaleDown));
    t.equal(scaleDown?.stabilizationWindowSeconds, ourBehaviour.scaleDown.stabilisationSeconds);
    t.same(
      scaled.spec?.triggers.map(({ metadata }) => metadata['queue']),
      ['workflows', 'documents'],
    );
    const monitors = manifests.filter(({ kind }) => kind === 'PodMonitor');
    t.same(
      monitors.map(({ spec }) => (spec['podMetricsEndpoints'] as { path: string }[])[0]?.path),
      ['/api/metrics', '/metrics', '/metrics'],
    );
    for (const { spec } of monitors) {
      const wanted = (spec['selector'] as { matchLabels: object }).matchLabels;
      const selectors = manifests.flatMap(({ kind, spec }) =>
        kind === 'Deployment' ? [(spec['selector'] as { matchLabels: object }).matchLabels] : [],
      );
      t.ok(
        selectors.some((selector) => isDeepStrictEqual(selector, wanted)),
        'of pods there are',
      );
    }
  });

  t.test('every service is spread, replaced in turn, evicted little by little and closed to strangers', async (t) => {
    const manifests = render();
    const named = (kind: string, name: string) =>
      manifests.find((manifest) => manifest.kind === kind && manifest.metadata.name === name);
    for (const service of Object.keys(configs)) {
      const { spec } = new Deployment(named('Deployment', `test-${service}`) as never);
      const { matchLabels } = spec?.selector ?? {};
      const budget = new PodDisruptionBudget(named('PodDisruptionBudget', `test-${service}`));
      const policy = new NetworkPolicy(named('NetworkPolicy', `test-${service}`));
      t.same(budget.spec?.selector?.matchLabels, matchLabels);
      t.same(policy.spec?.podSelector?.matchLabels, matchLabels);
      t.match(spec?.template.metadata?.labels, matchLabels ?? {});
      t.same(
        spec?.template.spec?.topologySpreadConstraints?.map(({ topologyKey }) => topologyKey),
        ['kubernetes.io/hostname', 'topology.kubernetes.io/zone'],
      );
      t.ok(spec?.strategy?.rollingUpdate, `${service} is replaced in turn`);
      t.match(spec?.template.spec, { securityContext: { runAsNonRoot: true }, automountServiceAccountToken: false });
      if (service !== 'gateway') t.ok(policy.spec?.ingress?.every(({ from = [] }) => from.length > 0));
    }
    const [job] = manifests.filter(({ kind }) => kind === 'Job').map((manifest) => new Job(manifest as never));
    t.match(job?.metadata?.annotations, { 'helm.sh/hook': 'pre-install,pre-upgrade' });
    t.match(job?.spec?.template.spec?.containers, [{ args: ['migrate'], env: [{ name: 'DATABASE_URL' }] }]);
  });

  t.test('with a certificate KEDA asks over TLS, and the controller has it', async (t) => {
    const manifests = render('controller.tlsSecret=scaler-tls');
    const { spec } = new ScaledObject(manifests.find(({ kind }) => kind === 'ScaledObject') as never);
    const authentication = manifests.find(({ kind }) => kind === 'TriggerAuthentication');
    t.match(authentication?.spec, { secretTargetRef: [{ parameter: 'caCert', name: 'scaler-tls', key: 'ca.crt' }] });
    for (const { metadata, authenticationRef } of spec?.triggers ?? []) {
      t.equal(metadata['enableTLS'], 'true');
      t.equal(authenticationRef?.name, authentication?.metadata.name);
    }
    const { volumeMounts = [], env = [] } = containerOf(manifests, 'controller') ?? {};
    const file = env.find(({ name }) => name === 'SCALER_TLS_KEY_FILE')?.value ?? '';
    t.ok(
      volumeMounts.some(({ mountPath }) => file.startsWith(`${mountPath}/`)),
      file,
    );
  });

  t.test('values that make no sense are refused by name', async (t) => {
    for (const [value, said] of [
      ['worker.concurrency=0', /concurrency/],
      ['worker.resources.limits.memory=1G', /memory/],
      ['worker.terminationGracePeriodSeconds=5', /terminationGracePeriodSeconds/],
      ['gatway.replicas=3', /gatway/],
      ['existingSecret=', /existingSecret/],
      ['gateway.ingress.enabled=true', /gateway\.ingress\.host is required/],
      ['image.tag=latest', /tag/],
      ['auth.bootstrapAdminEmail=me', /bootstrapAdminEmail/],
      // A secret is a reference, never a value.
      ['gateway.env.JWT_SECRET=0x5f', /JWT_SECRET/],
      ['worker.env.DATABASE_URL=postgres://db', /DATABASE_URL/],
      ['worker.secretEnv.LOG_SINK_HTTP_TOKEN=a secret', /LOG_SINK_HTTP_TOKEN/],
    ] as const) {
      t.throws(() => render(value), said, value);
    }
  });
}
