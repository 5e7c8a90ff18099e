import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { overview } from './dashboards/overview.ts';
import { scaling } from './dashboards/scaling.ts';
import { search } from './dashboards/search.ts';
import { security } from './dashboards/security.ts';
import { workflows } from './dashboards/workflows.ts';

/** Where Grafana's provisioning reads them. */
export const folder = new URL('../dashboards/', import.meta.url);

/** All dashboards as Grafana takes them, by the name of their file. */
export const dashboards: Record<string, Dashboard> = Object.fromEntries(
  Object.entries({ overview, workflows, search, security, scaling }).map(([name, builder]) => [
    `${name}.json`,
    numbered(builder.build()),
  ]),
);

/** What stands in the file. */
export const fileText = (dashboard: Dashboard): string => `${JSON.stringify(dashboard, null, 2)}\n`;

/** Links to a panel name its number. */
function numbered(dashboard: Dashboard): Dashboard {
  return { ...dashboard, panels: (dashboard.panels ?? []).map((panel, index) => ({ ...panel, id: index + 1 })) };
}
