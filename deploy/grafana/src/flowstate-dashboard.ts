import {
  AnnotationQueryBuilder,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { prometheus } from './panels.ts';

/** What all dashboards share: links to each other, and a line where another version began to run. */
export function flowstateDashboard(name: string, title: string): DashboardBuilder {
  return new DashboardBuilder(`Flowstate: ${title}`)
    .uid(`flowstate-${name}`)
    .tags(['flowstate'])
    .refresh('30s')
    .time({ from: 'now-1h', to: 'now' })
    .timezone('browser')
    .tooltip(DashboardCursorSync.Crosshair)
    .link(new DashboardLinkBuilder('Flowstate').type(DashboardLinkType.Dashboards).tags(['flowstate']).keepTime(true))
    .annotation(
      new AnnotationQueryBuilder()
        .name('Deploys')
        .datasource(prometheus)
        .enable(true)
        .iconColor('blue')
        .expr(
          'max by (service, version, commit) (flowstate_build_info) unless max by (service, version, commit) (flowstate_build_info offset 5m)',
        )
        .titleFormat('{{service}} {{version}}')
        .textFormat('{{commit}}'),
    );
}
