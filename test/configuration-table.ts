import { readFile, writeFile } from 'node:fs/promises';
import { TelemetryConfig } from '@flowstate/runtime';
import type { TObject, TSchema } from 'typebox';
import { ControllerConfig } from '../services/controller/src/config.ts';
import { GatewayConfig } from '../services/gateway/src/config.ts';
import { WorkerConfig } from '../services/worker/src/config.ts';

// `npm run docs` writes README's configuration table from the services' schemas; a test holds README to it.
export const readme = new URL('../README.md', import.meta.url);
const begin = '<!-- configuration:begin -->\n';
const end = '<!-- configuration:end -->';

const services: Record<string, TObject> = {
  gateway: GatewayConfig,
  worker: WorkerConfig,
  controller: ControllerConfig,
  'all, for traces': TelemetryConfig,
};

/** README with its configuration table as the schemas have it. */
export function withConfigurationTable(text: string): string {
  const [before, rest] = text.split(begin);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined) throw new Error('README has lost its configuration markers');
  return `${before}${begin}${table()}${end}${after}`;
}

function table(): string {
  const names = new Set(Object.values(services).flatMap((schema) => Object.keys(schema.properties)));
  const rows = [...names].map((name) => {
    const readers = Object.keys(services).filter((service) => name in (services[service]?.properties ?? {}));
    const owner = services[readers[0] ?? ''] as TObject;
    const property = owner.properties[name] as TSchema & { default?: unknown; description?: string };
    const defaults = readers.map(
      (service) => (services[service]?.properties[name] as TSchema & { default?: unknown })?.default,
    );
    const value = [...new Set(defaults)].map((each) => `\`${String(each)}\``).join(', ');
    const fallback = owner.required?.includes(name) && property.default === undefined ? '**required**' : value;
    return `| \`${name}\` | ${readers.join(', ')} | ${property.default === undefined && fallback !== '**required**' ? '' : fallback} | ${property.description ?? ''} |\n`;
  });
  return `\n| variable | read by | default | |\n|---|---|---|---|\n${rows.join('')}\n`;
}

if (import.meta.main) await writeFile(readme, withConfigurationTable(await readFile(readme, 'utf8')));
