/** The panels of the dashboard as a page that a browser shows without Grafana: titles, places and values, and little of its style. */
import type { Series } from '../rig/prometheus.js';
import type { DashboardPanel } from './dashboard-types.js';

/** A panel, and the series of its queries. */
export interface DrawnPanel {
  readonly panel: DashboardPanel;
  readonly series: readonly (readonly [legend: string, series: Series])[];
}

const COLUMN = 60;
const LINE = 34;
const COLOURS = [
  '#7eb26d',
  '#eab839',
  '#6ed0e0',
  '#ef843c',
  '#e24d42',
  '#1f78c1',
  '#ba43a9',
  '#9ac48a',
  '#f2c96d',
];

const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (sign) => `&#${String(sign.charCodeAt(0))};`);

const colour = (index: number): string => COLOURS[index % COLOURS.length] ?? '';

/** @param from and `to` in seconds. */
export function picture(panels: readonly DrawnPanel[], from: number, to: number): string {
  const height = Math.max(...panels.map(({ panel: { gridPos } }) => gridPos.y + gridPos.h));
  return `<!doctype html><meta charset="utf-8"><title>The dashboard, drawn without Grafana</title>
<style>
body { margin: 0; background: #111217; color: #ccccdc; font: 12px sans-serif; position: relative; width: ${String(24 * COLUMN)}px; height: ${String(height * LINE)}px }
section { position: absolute; box-sizing: border-box; padding: 6px 10px; background: #181b1f; border: 3px solid #111217; overflow: hidden }
h2 { font-size: 13px; margin: 0 0 4px } b { font-size: 22px; display: block }
span { margin-right: 12px } i { display: inline-block; width: 10px; height: 4px; margin-right: 4px; vertical-align: middle }
</style>
${panels.map((drawn) => section(drawn, from, to)).join('\n')}
`;
}

function section({ panel, series }: DrawnPanel, from: number, to: number): string {
  const { x, y, w, h } = panel.gridPos;
  const [width, height] = [w * COLUMN, h * LINE];
  const place = `left:${String(x * COLUMN)}px;top:${String(y * LINE)}px;width:${String(width)}px;height:${String(height)}px`;
  const unit = panel.fieldConfig.defaults.unit ?? '';
  const title = escaped(panel.title) + (unit === 'none' ? '' : ` (${unit})`);
  return `<section style="${place}"><h2>${title}</h2>${content(panel, series, { from, to, width: width - 70, height: height - 80 })}</section>`;
}

interface Frame {
  readonly from: number;
  readonly to: number;
  readonly width: number;
  readonly height: number;
}

function content(panel: DashboardPanel, series: DrawnPanel['series'], frame: Frame): string {
  switch (panel.type) {
    case 'stat':
      return stats(panel.options.textMode === 'name', series, frame);
    case 'state-timeline':
      return timeline(series, frame);
    case 'timeseries':
      return chart(panel.fieldConfig.defaults.custom?.drawStyle === 'bars', series, frame);
    default:
      return panel satisfies never;
  }
}

/** The last value of each series that still has one. */
function stats(isName: boolean, series: DrawnPanel['series'], { to }: Frame): string {
  return series
    .filter(([, { values }]) => (values.at(-1)?.[0] ?? 0) > to - 1)
    .map(([legend, { values }]) =>
      isName
        ? `<b>${escaped(legend)}</b>`
        : `<b>${String(Math.round(Number(values.at(-1)?.[1])))}</b>${escaped(legend)}`,
    )
    .join('');
}

function timeline(series: DrawnPanel['series'], { from, to, width, height }: Frame): string {
  const row = Math.min(30, height / series.length);
  const lines = series.map(([legend, { values }], index) => {
    const second = width / (to - from);
    const top = index * row;
    const marks = values.map(
      ([at, value]) =>
        `<rect x="${String((at - from) * second)}" y="${String(top + 12)}" width="${String(second + 0.5)}" height="${String(row - 16)}" fill="${value === '1' ? '#7eb26d' : '#44475a'}"/>`,
    );
    return `<text x="0" y="${String(top + 10)}" fill="#ccccdc" font-size="10">${escaped(legend)}</text>${marks.join('')}`;
  });
  return `<svg width="${String(width)}" height="${String(height + 40)}">${lines.join('')}</svg>`;
}

function chart(isBars: boolean, series: DrawnPanel['series'], { from, to, width, height }: Frame): string {
  const numbers = series.flatMap(([, { values }]) => values.map(([, value]) => Number(value)));
  const top = Math.max(...numbers.filter(Number.isFinite), 0) || 1;
  const [px, py] = [
    (at: number): number => 45 + ((at - from) / (to - from)) * (width - 45),
    (value: number): number => height - (value / top) * (height - 10),
  ];
  const shapes = series.map(([, { values }], index) => {
    const points = values
      .map(([at, value]) => [px(at), py(Number(value))] as const)
      .filter(([, y]) => !Number.isNaN(y));
    if (isBars)
      return points
        .filter(([, y]) => y < height)
        .map(
          ([x, y]) =>
            `<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="4" height="${(height - y).toFixed(1)}" fill="${colour(index)}"/>`,
        )
        .join('');
    // A gap between samples is a gap in the line.
    const path = points.map(([x, y], n) => {
      const gap = n === 0 || x - (points[n - 1]?.[0] ?? x) > (1.5 * (width - 45)) / (to - from);
      return `${gap ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`;
    });
    return `<path d="${path.join('')}" fill="none" stroke="${colour(index)}" stroke-width="1.5"/>`;
  });
  const scale = [0, top / 2, top].map(
    (value) =>
      `<text x="0" y="${String(py(value) + 4)}" fill="#888" font-size="10">${value.toPrecision(2)}</text><path d="M45 ${String(py(value))}H${String(width)}" stroke="#333"/>`,
  );
  const legends = series.map(
    ([legend], index) => `<span><i style="background:${colour(index)}"></i>${escaped(legend)}</span>`,
  );
  return `<svg width="${String(width)}" height="${String(height + 6)}">${scale.join('')}${shapes.join('')}</svg><div>${legends.join('')}</div>`;
}
