import { escapeXml, short, svg } from './chart-text.ts';

export type Bar = { label: string; value: number; note?: string };

const row = 22;
const labelWidth = 320;
const barWidth = 340;

/** Horizontal bars, the longest first, each with its figure. */
export function barChart(title: string, bars: Bar[]): string {
  const sorted = bars.toSorted((a, b) => b.value - a.value).slice(0, 40);
  const most = Math.max(1, ...sorted.map(({ value }) => value));
  const rows = sorted.flatMap(({ label, value, note = '' }, i) => {
    const y = 36 + i * row;
    const width = Math.max(1, (Math.max(0, value) / most) * barWidth);
    return [
      `<text x="${labelWidth - 8}" y="${y + 14}" text-anchor="end">${escapeXml(label.slice(0, 50) || 'all')}</text>`,
      `<rect x="${labelWidth}" y="${y + 3}" width="${width.toFixed(1)}" height="${row - 8}" fill="#3b6ea5"/>`,
      `<text x="${(labelWidth + width + 6).toFixed(1)}" y="${y + 14}">${short(value)}${escapeXml(note)}</text>`,
    ];
  });
  return svg(labelWidth + barWidth + 160, 48 + Math.max(1, sorted.length) * row, title, rows);
}
