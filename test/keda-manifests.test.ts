import { readdir, readFile } from 'node:fs/promises';
import { queueNames } from '@flowstate/contracts';
import { ourBehaviour } from '@flowstate/scaling';
import { ScaledObject, TriggerAuthentication } from '@kubernetes-models/keda/keda.sh/v1alpha1';
import t from 'tap';
import { parseAllDocuments } from 'yaml';
import { ControllerConfig } from '../services/controller/src/config.ts';

const folder = new URL('../deploy/keda/', import.meta.url);
const kinds = { ScaledObject, TriggerAuthentication };

type Manifest = InstanceType<typeof ScaledObject> | InstanceType<typeof TriggerAuthentication>;

/** Every document of a file, checked against KEDA's own schema; throws where it does not fit. */
async function read(file: string): Promise<Manifest[]> {
  return parseAllDocuments(await readFile(new URL(file, folder), 'utf8')).map((document) => {
    const content = document.toJS() as { kind: keyof typeof kinds };
    const Kind = kinds[content.kind];
    const manifest: Manifest = new Kind(content as never);
    manifest.validate();
    return manifest;
  });
}

const files = (await readdir(folder)).filter((name) => name.endsWith('.yaml'));
const manifests = new Map(await Promise.all(files.map(async (file) => [file, await read(file)] as const)));
const scaledObjects = (file: string) =>
  (manifests.get(file) ?? []).filter((manifest) => manifest instanceof ScaledObject);

t.test('manifests fit the schemas of KEDA, which notice a mistake', async (t) => {
  t.same(files.toSorted(), ['metrics-api.yaml', 'worker-by-velocity.yaml', 'worker.yaml']);
  const [worker] = scaledObjects('worker.yaml');
  const wrong = structuredClone(worker?.toJSON()) as { spec: { triggers: { metadata: Record<string, unknown> }[] } };
  Object.assign(wrong.spec.triggers[0] ?? {}, { metadata: { queue: 7 } });
  t.throws(() => new ScaledObject(wrong as never).validate(), /metadata/);
});

t.test('triggers ask for queues there are, with proof, and never take nothing for zero', async (t) => {
  for (const file of files) {
    const authentications = new Set(
      (manifests.get(file) ?? []).flatMap(({ kind, metadata }) =>
        kind === 'TriggerAuthentication' ? [metadata?.name] : [],
      ),
    );
    for (const { spec } of scaledObjects(file)) {
      t.ok((spec?.fallback?.replicas ?? 0) > 0, `${file}: an error leaves workers there`);
      for (const { authenticationRef } of spec?.triggers ?? []) {
        if (authenticationRef) t.ok(authentications.has(authenticationRef.name), authenticationRef.name);
      }
    }
  }
  const { default: port } = ControllerConfig.properties.SCALER_PORT as { default?: number };
  const [pushed] = scaledObjects('worker.yaml');
  const triggers = pushed?.spec?.triggers ?? [];
  t.same(
    triggers.map(({ metadata }) => metadata['queue']),
    queueNames,
  );
  for (const { type, metadata } of triggers) {
    t.equal(type, 'external-push');
    t.match(metadata, {
      scalerAddress: new RegExp(`:${String(port)}$`),
      tokenFromEnv: 'SCALER_TOKEN',
      enableTLS: 'true',
    });
  }
  const [velocity] = scaledObjects('worker-by-velocity.yaml');
  t.match(velocity?.spec?.triggers, [{ type: 'prometheus', metadata: { ignoreNullValues: 'false' } }]);
  t.equal(velocity?.spec?.minReplicaCount, 1, 'without a worker nobody counts');
});

t.test('workers come and go as the simulator has it', async (t) => {
  const [worker] = scaledObjects('worker.yaml');
  const { scaleUp, scaleDown } = worker?.spec?.advanced?.horizontalPodAutoscalerConfig?.behavior ?? {};
  const rates = ({ pods, percent, periodSeconds }: typeof ourBehaviour.scaleUp) => [
    { type: 'Pods', value: pods, periodSeconds },
    { type: 'Percent', value: percent, periodSeconds },
  ];
  t.match(scaleUp, { stabilizationWindowSeconds: 0, policies: rates(ourBehaviour.scaleUp), selectPolicy: 'Max' });
  t.match(scaleDown, {
    stabilizationWindowSeconds: ourBehaviour.scaleDown.stabilisationSeconds,
    policies: rates(ourBehaviour.scaleDown),
    selectPolicy: 'Max',
  });
});
