import { writeFile } from 'node:fs/promises';
import { dashboards, fileText, folder } from './index.ts';

// `npm run dashboards` writes what is declared here as the JSON that Grafana reads; a test holds the one to the other.
for (const [name, dashboard] of Object.entries(dashboards)) {
  await writeFile(new URL(name, folder), fileText(dashboard));
}
