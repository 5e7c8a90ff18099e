import { spawnSync } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { ourBehaviour } from '@flowstate/scaling';
import { ScaledObject, TriggerAuthentication } from '@kubernetes-models/keda/keda.sh/v1alpha1';
import { PodMonitor, PrometheusRule } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1';
import { Deployment } from 'kubernetes-models/apps/v1';
import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2';
import { CronJob, Job } from 'kubernetes-models/batch/v1';
import { Ingress, NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1';
import { Role, RoleBinding } from 'kubernetes-models/rbac.authorization.k8s.io/v1';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1';
import { PersistentVolumeClaim, Service } from 'kubernetes-models/v1';
import { ServiceAccount } from 'kubernetes-models/v1/ServiceAccount';
import t from 'tap';
import { readPrices } from '@flowstate/models';
import { parse, parseAllDocuments } from 'yaml';
import { ControllerConfig } from '../services/controller/src/config.ts';
import { GatewayConfig } from '../services/gateway/src/config.ts';
import { WorkerConfig } from '../services/worker/src/config.ts';

const chart = fileURLToPath(new URL('../deploy/helm/flowstate', import.meta.url));
const schemas = {
  CronJob,
  Deployment,
  HorizontalPodAutoscaler,
  Ingress,
  Job,
  NetworkPolicy,
  PersistentVolumeClaim,
  PodDisruptionBudget,
  PodMonitor,
  PrometheusRule,
  ScaledObject,
  Service,
  TriggerAuthentication,
  Role,
  RoleBinding,
  ServiceAccount,
};
const configs = { gateway: GatewayConfig, worker: WorkerConfig, controller: ControllerConfig } as const;

type Manifest = { kind: string; metadata: { name: string }; spec: Record<string, unknown> };

function helm(...args: string[]) {
  const { status, stdout, stderr } = spawnSync('helm', args, { encoding: 'utf8' });
  return { status, out: stdout, err: stderr };
}

/** What the chart makes of these values; those with JSON are of the form `name={…}` or `name=[…]`. */
function render(...values: string[]): Manifest[] {
  const set = values.flatMap((value) => [/=[[{]/.test(value) ? '--set-json' : '--set', value]);
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
    'llm.prices={"small-1.5": {"input": 0.25, "output": 2}}',
    'llm.requestsPerMinute=5000000',
    'llm.tokensPerMinute=2000000',
    'backup.enabled=true',
    'prometheusRule.enabled=true',
    'networkPolicy.egress.enabled=true',
    'networkPolicy.egress.stores=[{"to": [{"ipBlock": {"cidr": "10.1.0.0/24"}}], "ports": [{"port": 5432}, {"port": 6379}]}]',
    'networkPolicy.egress.models=[{"to": [{"ipBlock": {"cidr": "10.2.0.7/32"}}], "ports": [{"port": 443}]}]',
  ];

  let rendered: Manifest[] | undefined;
  const full = () => (rendered ??= render(...everything));

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
    const heap = (service: string, ...values: string[]) =>
      containerOf(render(...values), service)?.env?.find(({ name }) => name === 'NODE_OPTIONS')?.value;
    t.equal(heap('worker'), '--max-old-space-size=704');
    t.equal(heap('gateway'), '--max-old-space-size=384');
    t.equal(heap('controller'), '--max-old-space-size=288');
    const small = ['worker.resources.limits.memory=256Mi', 'embeddings.baseUrl=https://embeddings.example/v1'];
    t.equal(heap('worker', ...small), '--max-old-space-size=160', 'without the offline model there is more room');
    const least = ['gateway.resources.limits.memory=192Mi', 'embeddings.baseUrl=https://embeddings.example/v1'];
    t.equal(heap('gateway', ...least), '--max-old-space-size=64', 'the least that came through');
    t.notOk(JSON.stringify(manifests).includes('postgres://'), 'no address stands in it');
  });

  t.test('only the controller may mark pods, and no more than that; switched off, nobody may anything', async (t) => {
    const kinds = ['ServiceAccount', 'Role', 'RoleBinding'];
    const of = (manifests: Manifest[]) => kinds.map((wanted) => manifests.filter(({ kind }) => kind === wanted));
    const manifests = render();
    const [accounts = [], roles = [], bindings = []] = of(manifests);
    t.match(roles, [{ rules: [{ apiGroups: [''], resources: ['pods/status'], verbs: ['patch'] }] }]);
    t.match(bindings, [{ roleRef: { kind: 'Role', name: roles[0]?.metadata.name } }]);
    const subject = { kind: 'ServiceAccount', name: accounts[0]?.metadata.name, namespace: 'default' };
    t.match(bindings, [{ subjects: [subject] }]);
    for (const service of Object.keys(configs)) {
      const found = manifests.find(
        ({ kind, metadata }) => kind === 'Deployment' && metadata.name === `test-${service}`,
      );
      const { serviceAccountName } = new Deployment(found as never).spec?.template.spec ?? {};
      t.equal(serviceAccountName, service === 'controller' ? subject.name : undefined);
    }
    const marks = (rendered: Manifest[]) =>
      containerOf(rendered, 'controller')?.env?.find(({ name }) => name === 'POD_DELETION_COST')?.value;
    t.equal(marks(manifests), 'true');
    const off = render('podDeletionCost.enabled=false');
    t.same(of(off), [[], [], []]);
    t.equal(marks(off), undefined);
    t.notMatch(JSON.stringify(off), 'automountServiceAccountToken":true');
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
      const automountServiceAccountToken = service === 'controller';
      t.match(spec?.template.spec, { securityContext: { runAsNonRoot: true }, automountServiceAccountToken });
      if (service !== 'gateway') t.ok(policy.spec?.ingress?.every(({ from = [] }) => from.length > 0));
    }
    const [job] = manifests.filter(({ kind }) => kind === 'Job').map((manifest) => new Job(manifest as never));
    t.match(job?.metadata?.annotations, { 'helm.sh/hook': 'pre-install,pre-upgrade' });
    t.match(job?.spec?.template.spec?.containers, [{ args: ['migrate'], env: [{ name: 'DATABASE_URL' }] }]);
  });

  t.test('what models cost and take reaches who reckons with it', async (t) => {
    const manifests = full();
    const valuesOf = (service: string) => {
      const env = containerOf(manifests, service)?.env ?? [];
      return Object.fromEntries(env.map(({ name, value }) => [name, value]));
    };
    const rates = { LLM_REQUESTS_PER_MINUTE: '5000000', LLM_TOKENS_PER_MINUTE: '2000000' };
    t.match(valuesOf('controller'), rates);
    t.match(valuesOf('worker'), { ...rates, LLM_PRICES: '{"small-1.5":{"input":0.25,"output":2}}' });
    t.same(readPrices({ LLM_PRICES: valuesOf('worker')['LLM_PRICES'] }), { 'small-1.5': [250_000, 2_000_000] });
    t.notOk('LLM_REQUESTS_PER_MINUTE' in valuesOf('gateway'));
  });

  t.test('a backup goes to a claim that outlives the release, by an image that may write nowhere else', async (t) => {
    const manifests = full();
    const one = (kind: string) => manifests.find((manifest) => manifest.kind === kind);
    const job = new CronJob(one('CronJob') as never).spec?.jobTemplate.spec?.template.spec;
    t.match(job?.containers, [
      {
        args: ['backup', '/backups/', '--keep', '14'],
        env: [{ name: 'DATABASE_URL', valueFrom: { secretKeyRef: { key: 'owner-database-url' } } }],
        securityContext: { readOnlyRootFilesystem: true },
      },
    ]);
    t.equal(job?.securityContext?.fsGroup, 10001);
    const claim = one('PersistentVolumeClaim');
    t.equal(job?.volumes?.[0]?.persistentVolumeClaim?.claimName, claim?.metadata.name);
    t.match(claim, { metadata: { annotations: { 'helm.sh/resource-policy': 'keep' } } });
    const own = render('backup.enabled=true', 'backup.existingClaim=dumps');
    t.notOk(own.some(({ kind }) => kind === 'PersistentVolumeClaim'));
    t.match(JSON.stringify(own), '"claimName":"dumps"');
  });

  t.test('rules are those of deploy/prometheus, and speak of jobs that the monitors name', async (t) => {
    const rules = full().filter(({ kind }) => kind === 'PrometheusRule');
    const folder = new URL('../deploy/prometheus/rules/', import.meta.url);
    const files = (await readdir(folder)).toSorted();
    t.same(
      rules.map(({ metadata }) => `${metadata.name.replace('test-rules-', '')}.yml`).toSorted(),
      files,
      'one of each file',
    );
    for (const file of files) {
      const { spec } = rules.find(({ metadata }) => metadata.name === `test-rules-${file.replace('.yml', '')}`) ?? {};
      t.same(spec, parse(await readFile(new URL(file, folder), 'utf8')), file);
    }
  });

  t.test('with rules of egress a pod reaches DNS, the stores and what its service needs', async (t) => {
    const policies = full().filter(
      ({ kind, spec }) => kind === 'NetworkPolicy' && isDeepStrictEqual(spec['policyTypes'], ['Egress']),
    );
    const reached = (service: string) => {
      const policy = policies.find(({ metadata }) => metadata.name === `test-${service}-egress`);
      return JSON.stringify(new NetworkPolicy(policy).spec?.egress);
    };
    const destinations = { dns: '"port":53', stores: '10.1.0.0/24', models: '10.2.0.7/32', gateway: '"port":3001' };
    const of = (service: string) =>
      Object.entries(destinations).flatMap(([name, text]) => (reached(service).includes(text) ? [name] : []));
    t.same(of('gateway'), ['dns', 'stores', 'models']);
    t.same(of('worker'), ['dns', 'stores', 'models', 'gateway']);
    for (const service of ['controller', 'migrations', 'backup']) t.same(of(service), ['dns', 'stores'], service);
    t.equal(policies.length, 6);
    const webhooks = '"cidr":"0.0.0.0/0","except":[';
    t.ok(reached('controller').includes(webhooks));
    t.notOk(reached('worker').includes(webhooks));
    t.throws(() => render('networkPolicy.egress.enabled=true'), /networkPolicy\.egress\.stores is required/);
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
      ['worker.resources.limits.memory=256Mi', /worker\.resources\.limits\.memory must be at least 384Mi/],
      ['worker.terminationGracePeriodSeconds=5', /terminationGracePeriodSeconds/],
      ['gatway.replicas=3', /gatway/],
      ['podDeletionCost.apiServer[0].ports[0].port=443', /apiServer/],
      ['existingSecret=', /existingSecret/],
      ['gateway.ingress.enabled=true', /gateway\.ingress\.host is required/],
      ['image.tag=latest', /tag/],
      ['backup.schedule=nightly', /schedule/],
      ['backup.keep=0', /keep/],
      ['llm.prices={"m": {"output": 2}}', /input/],
      ['networkPolicy.egress.stores=[{"ports": []}]', /stores/],
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
