import { escapeXml, short, svg } from './chart-text.ts';

export type Panel = { title: string; unit: string; lines: { label: string; points: [x: number, y: number][] }[] };

const colours = ['#3b6ea5', '#c0504d', '#d98b1f', '#5a8f29'];
const area = { left: 70, width: 720, height: 130, gap: 56 };

/**
 * Panels of lines one above the other, over one axis of seconds; a label has one colour in all of them. Values of
 * different magnitude are to be told apart: the scale is logarithmic above 1.
 */
export function panels(title: string, all: Panel[]): string {
  const last = Math.max(1, ...all.flatMap(({ lines }) => lines.map(({ points }) => points.at(-1)?.[0] ?? 0)));
  const labels = [...new Set(all.flatMap(({ lines }) => lines.map(({ label }) => label)))];
  const colourOf = (label: string) => colours[labels.indexOf(label) % colours.length] ?? '#000';
  const x = (at: number) => area.left + (at / last) * area.width;
  const legend = labels.flatMap((label, i) => [
    `<rect x="${area.left + i * 200}" y="34" width="10" height="10" fill="${colourOf(label)}"/>`,
    `<text x="${area.left + i * 200 + 16}" y="43">${escapeXml(label)}</text>`,
  ]);
  const drawn = all.flatMap(({ title, unit, lines }, i) => {
    const top = 76 + i * (area.height + area.gap);
    const bottom = top + area.height;
    const most = lines.reduce((peak, { points }) => points.reduce((max, [, y]) => Math.max(max, y), peak), 0) || 1;
    const y = (value: number) => bottom - (Math.log10(1 + value) / Math.log10(1 + most)) * area.height;
    const ticks = [1, 10, 100, 1_000, 10_000, 100_000].filter((tick) => tick * 2 <= most);
    return [
      `<text x="${area.left}" y="${top - 8}" font-weight="bold">${escapeXml(title)}</text>`,
      `<path d="M${area.left} ${top}V${bottom}H${area.left + area.width}" fill="none" stroke="#999"/>`,
      `<text x="${area.left - 6}" y="${top + 10}" text-anchor="end">${short(most)} ${escapeXml(unit)}</text>`,
      `<text x="${area.left - 6}" y="${bottom}" text-anchor="end">0</text>`,
      ...ticks.flatMap((tick) => [
        `<path d="M${area.left} ${y(tick).toFixed(1)}H${area.left + area.width}" stroke="#eee"/>`,
        `<text x="${area.left - 6}" y="${(y(tick) + 4).toFixed(1)}" text-anchor="end">${tick}</text>`,
      ]),
      ...lines.map(({ label, points }) => {
        const path = points.map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(' ');
        return `<polyline fill="none" stroke="${colourOf(label)}" stroke-width="1.5" points="${path}"/>`;
      }),
      ...[0, 0.25, 0.5, 0.75, 1].map(
        (share) =>
          `<text x="${x(share * last)}" y="${bottom + 16}" text-anchor="middle">${short((share * last) / 60)} min</text>`,
      ),
    ];
  });
  const height = 76 + all.length * (area.height + area.gap);
  return svg(area.left + area.width + 50, height, title, [...legend, ...drawn]);
}
