import type { Series } from '../metrics/prometheus.ts';
import { escapeXml, short, svg } from './chart-text.ts';

const colours = ['#3b6ea5', '#c0504d', '#5a8f29', '#8064a2', '#d98b1f', '#3a9aa8', '#7f7f7f', '#a5386b'];
const area = { left: 60, top: 36, width: 640, height: 220 };

/** Values over time, one line a series; at most eight, those with the highest values. */
export function lineChart(title: string, all: Series[]): string {
  const peak = ({ points }: Series) => Math.max(0, ...points.map(([, value]) => value).filter(Number.isFinite));
  const series = all.toSorted((a, b) => peak(b) - peak(a)).slice(0, colours.length);
  const times = series.flatMap(({ points }) => points.map(([at]) => at));
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const most = Math.max(...series.map(peak), 0) || 1;
  const x = (at: number) => area.left + ((at - first) / Math.max(1, last - first)) * area.width;
  const y = (value: number) => area.top + area.height - (Math.max(0, value) / most) * area.height;
  const bottom = area.top + area.height;
  const lines = series.flatMap(({ label, points }, i) => {
    const path = points
      .filter(([, value]) => Number.isFinite(value))
      .map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`);
    const colour = colours[i] ?? '#000';
    const legend = bottom + 40 + i * 16;
    return [
      `<polyline fill="none" stroke="${colour}" stroke-width="1.5" points="${path.join(' ')}"/>`,
      `<rect x="${area.left}" y="${legend - 9}" width="10" height="10" fill="${colour}"/>`,
      `<text x="${area.left + 16}" y="${legend}">${escapeXml(label.slice(0, 90))} (highest ${short(peak({ label, points }))})</text>`,
    ];
  });
  const time = (at: number) => (Number.isFinite(at) ? new Date(at).toISOString().slice(0, 19) : '');
  return svg(area.left + area.width + 20, bottom + 48 + series.length * 16, title, [
    `<path d="M${area.left} ${area.top}V${bottom}H${area.left + area.width}" fill="none" stroke="#999"/>`,
    `<text x="${area.left - 6}" y="${area.top + 10}" text-anchor="end">${short(most)}</text>`,
    `<text x="${area.left - 6}" y="${bottom}" text-anchor="end">0</text>`,
    `<text x="${area.left}" y="${bottom + 16}">${time(first)}</text>`,
    `<text x="${area.left + area.width}" y="${bottom + 16}" text-anchor="end">${time(last)}</text>`,
    ...lines,
  ]);
}
