import {
  LegendDisplayMode,
  LegendPlacement,
  TooltipDisplayMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import { PanelBuilder as StatPanel } from '@grafana/grafana-foundation-sdk/stat';
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as TimeseriesPanel } from '@grafana/grafana-foundation-sdk/timeseries';

/** The uid that provisioning gives Prometheus. */
export const prometheus = { type: 'prometheus', uid: 'flowstate-prometheus' };

/** PromQL, and what names each of its series: `{{label}}` or a word. */
export type Query = readonly [expr: string, legend: string];

const legend = new VizLegendOptionsBuilder()
  .showLegend(true)
  .displayMode(LegendDisplayMode.List)
  .placement(LegendPlacement.Bottom)
  .calcs([]);
const allSeries = new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi);

type Settings = {
  /** What the figure tells, and what to do when it is bad. */
  says: string;
  /** Grafana's name of the unit: `s`, `percentunit`, `reqps`, `bytes`, `short`. */
  unit: string;
  queries: readonly Query[];
};

/** A figure over time, half the dashboard wide. */
export function graph(title: string, { says, unit, queries }: Settings): TimeseriesPanel {
  const panel = new TimeseriesPanel().title(title).description(says).unit(unit).min(0).datasource(prometheus);
  panel.height(8).span(12).fillOpacity(10).legend(legend).tooltip(allSeries);
  for (const each of targets(queries)) panel.withTarget(each);
  return panel;
}

/** What a figure is now, in large print: six of them stand beside each other. */
export function figure(title: string, { says, unit, queries }: Settings): StatPanel {
  const panel = new StatPanel().title(title).description(says).unit(unit).datasource(prometheus).height(4).span(4);
  for (const each of targets(queries)) panel.withTarget(each);
  return panel;
}

function targets(queries: readonly Query[]): DataqueryBuilder[] {
  return queries.map(([expr, legend], index) =>
    new DataqueryBuilder()
      .expr(expr)
      .legendFormat(legend)
      .refId(String.fromCodePoint(65 + index)),
  );
}
