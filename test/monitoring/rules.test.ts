import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import { parse } from 'yaml';
import { findMonitoringPrograms } from '../support/monitoring-programs.ts';

type Alert = { alert: string; labels: Record<string, string>; annotations: Record<string, string> };

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);
const programs = await findMonitoringPrograms();
const skip = typeof programs === 'string' ? programs : false;
const program = (name: 'promtool' | 'amtool') => (typeof programs === 'string' ? name : programs[name]);

// With a token file, which is not in the repository.
const deploy = await mkdtemp(join(tmpdir(), 'flowstate-rules-'));
t.teardown(() => rm(deploy, { recursive: true }));
for (const part of ['prometheus', 'alertmanager'])
  await cp(join(root, 'deploy', part), join(deploy, part), { recursive: true });
await writeFile(join(deploy, 'prometheus/metrics-token'), '');
const rules = join(deploy, 'prometheus/rules');
const filesOf = async (folder: string) => (await readdir(folder)).map((name) => join(folder, name));
const alerts = (
  await Promise.all((await filesOf(rules)).map(async (file) => parse(await readFile(file, 'utf8'), { merge: true })))
)
  .flatMap(({ groups }: { groups: { rules: Alert[] }[] }) => groups.flatMap((group) => group.rules))
  .filter(({ alert }) => alert !== undefined);

t.test('promtool takes the configuration and finds nothing to say about the rules', { skip }, async (t) => {
  await t.resolves(run(program('promtool'), ['check', 'config', join(deploy, 'prometheus/prometheus.yml')]));
  await t.resolves(
    run(program('promtool'), ['check', 'rules', '--lint=all', '--lint-fatal', ...(await filesOf(rules))]),
  );
});

t.test('every alert fires when it should, and not when it should not', { skip }, async (t) => {
  const tests = await filesOf(join(deploy, 'prometheus/tests'));
  await t.resolves(run(program('promtool'), ['test', 'rules', ...tests]));
  const text = (await Promise.all(tests.map((file) => readFile(file, 'utf8')))).join('\n');
  for (const { alert } of alerts)
    t.match(text, new RegExp(`labels: '\\{alertname="${alert}"\\}', value: [1-9]`), alert);
});

t.test('every alert says who is told, what to do and where to look', async (t) => {
  t.ok(alerts.length > 30);
  t.equal(new Set(alerts.map(({ alert }) => alert)).size, alerts.length);
  const runbook = await readFile(join(root, 'deploy/runbooks/alerts.md'), 'utf8');
  const sections = [...runbook.matchAll(/^## (.*)$/gm)].map(([, title]) => title ?? '');
  t.same(sections.toSorted(), alerts.map(({ alert }) => alert).toSorted(), 'a section for each, and no other');
  const files = await readdir(join(root, 'deploy/grafana/dashboards'));
  const dashboards = new Set(files.map((file) => `/d/flowstate-${file.replace('.json', '')}`));
  for (const { alert, labels, annotations } of alerts) {
    t.match(labels, { severity: /^(page|ticket)$/, team: /^(on-call|data-ml)$/ }, alert);
    t.equal(annotations['runbook'], `deploy/runbooks/alerts.md#${alert.toLowerCase()}`);
    t.ok(dashboards.has(annotations['dashboard'] ?? ''), `${alert} leads to a dashboard`);
    t.match(
      annotations,
      { summary: /./, traces: /^\{ .* \}$/, version: /flowstate_build_info/, changes: /offset 1d/ },
      alert,
    );
  }
});

t.test('pages reach who is on call, quality the data and ML team, everything else a ticket', { skip }, async (t) => {
  const config = join(deploy, 'alertmanager/alertmanager.yml');
  await t.resolves(run(program('amtool'), ['check-config', config]));
  // A process each: one for every kind of alert is enough.
  const kinds = new Map(alerts.map(({ labels }) => [JSON.stringify(labels), labels]));
  for (const labels of kinds.values()) {
    const matchers = Object.entries(labels).map(([name, value]) => `${name}=${value}`);
    const command = ['config', 'routes', 'test', `--config.file=${config}`, ...matchers];
    const { stdout } = await run(program('amtool'), command);
    const wanted = labels['team'] === 'data-ml' ? 'data-ml' : labels['severity'] === 'page' ? 'on-call' : 'tickets';
    t.equal(stdout.trim(), wanted, matchers.join());
  }
  t.ok(alerts.some(({ alert, labels }) => alert === 'FlowstateSearchRecallDrops' && labels['team'] === 'data-ml'));
});

t.test('a message has the version, its changes, and links to runbook, dashboard and traces', { skip }, async (t) => {
  const data = join(deploy, 'alert.json');
  const annotations = {
    summary: '95 % of requests take up to 2s',
    version: 'gateway 1.4.0 (abc1234)',
    changes: '0f0f0f0...abc1234',
    runbook: 'deploy/runbooks/alerts.md#flowstatehighlatency',
    dashboard: '/d/flowstate-overview',
    traces: '{ name = "x" && duration > 1s }',
  };
  const labels = { alertname: 'FlowstateHighLatency' };
  const alert = { status: 'firing', labels, annotations, startsAt: '2026-01-01T00:00:00Z' };
  await writeFile(data, JSON.stringify({ status: 'firing', alerts: [alert], commonLabels: labels }));
  const { stdout } = await run(program('amtool'), [
    'template',
    'render',
    `--template.glob=${join(deploy, 'alertmanager/templates/*.tmpl')}`,
    '--template.text={{ template "flowstate.title" . }}: {{ template "flowstate.text" . }}',
    `--template.data=${data}`,
  ]);
  t.match(stdout, 'FIRING: FlowstateHighLatency: 95 % of requests take up to 2s');
  t.match(stdout, 'Running: gateway 1.4.0 (abc1234)');
  t.match(stdout, /Changes of the last day: https:\S+\/compare\/0f0f0f0\.\.\.abc1234/);
  t.match(stdout, /Runbook: https:\S+\/deploy\/runbooks\/alerts\.md#flowstatehighlatency/);
  t.match(stdout, /Dashboard: http\S+\/d\/flowstate-overview/);
  const panes = new URL(/Traces: (\S+)/.exec(stdout)?.[1] ?? '').searchParams.get('panes');
  t.match(JSON.parse(panes ?? ''), { traces: { queries: [{ query: annotations.traces, queryType: 'traceql' }] } });
});
