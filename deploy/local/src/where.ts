import type { LocalEnv } from './local-env.ts';
import { localUrl, type ServicePorts } from './services.ts';

type Options = { host: string; ports: ServicePorts; settings: LocalEnv; once: boolean; customerId: string | undefined };

/** What to look at next, and a request to copy. Passwords are named by where they are kept, never shown. */
export function whereEverythingIs({ host, ports, settings, once, customerId }: Options): string {
  const gateway = settings.GATEWAY_URL;
  const lines = [
    `API docs      ${gateway}/api/docs`,
    `Bull Board    ${gateway}/admin/queues`,
    `Metrics       ${gateway}/api/metrics  ${localUrl(host, ports.worker)}/metrics  ${localUrl(host, ports.controller)}/metrics`,
    'Log in as     admin@, manager@, analyst@, agent@, integration@ or service@flowstate.local',
    'Password      DEMO_PASSWORD in .flowstate/local.env',
    '',
    'Try it from another terminal, in this folder:',
    "  DEMO_PASSWORD=$(sed -n 's/^DEMO_PASSWORD=//p' .flowstate/local.env)",
    `  TOKEN=$(curl -s ${gateway}/api/auth/login -H 'content-type: application/json' \\`,
    `    -d "{\\"email\\":\\"manager@flowstate.local\\",\\"password\\":\\"$DEMO_PASSWORD\\"}" | sed 's/.*"accessToken":"\\([^"]*\\).*/\\1/')`,
    ...request(gateway, customerId),
  ];
  if (!once) lines.push('', 'Ctrl-C stops everything. npm run status shows what runs.');
  return lines.join('\n');
}

/** The main job where there is a customer, else what runs at all. */
function request(gateway: string, customerId: string | undefined): string[] {
  const authorization = '-H "authorization: Bearer $TOKEN"';
  if (customerId === undefined) return [`  curl -s ${gateway}/api/workflows ${authorization}`];
  const body = JSON.stringify({ input: { customerId } }).replaceAll("'", String.raw`'\''`);
  return [
    `  curl -s ${gateway}/api/workflows/customer-insights/runs ${authorization} \\`,
    `    -H 'content-type: application/json' -H 'prefer: wait=30' -d '${body}'`,
  ];
}
