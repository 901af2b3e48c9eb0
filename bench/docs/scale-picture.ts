/** Draws costs against the number of elections in one process, one panel for each cost. */
import type { ScaleFigures } from '../scale.js';
import { Drawing, logScale, type Colour, type Point } from './drawing.js';

interface Panel {
  readonly title: string;
  readonly of: (figures: ScaleFigures) => number | undefined;
  readonly ticks: readonly (readonly [value: number, label: string])[];
}

const TIMES: Panel['ticks'] = [
  [10, '10 ms'],
  [100, '0.1 s'],
  [1_000, '1 s'],
  [10_000, '10 s'],
];
const PERCENTAGES: Panel['ticks'] = [
  [0.01, '0.01 %'],
  [0.1, '0.1 %'],
  [1, '1 %'],
  [10, '10 %'],
  [100, '100 %'],
];

const WIDTH = 860;
const PANEL = { width: 262, height: 170, gapX: 22, gapY: 58 };
const ORIGIN = { x: 16, y: 100 };
const INSET_LEFT = 46;

const PANELS: readonly Panel[] = [
  {
    title: 'All led after',
    of: ({ allLedAfterMs }) => allLedAfterMs,
    ticks: TIMES,
  },
  {
    title: 'SIGTERM → all led again after',
    of: ({ allLedAgainAfterMs }) => allLedAgainAfterMs,
    ticks: TIMES,
  },
  {
    title: 'Connections to the API server',
    of: ({ leading }) => leading?.sockets,
    ticks: [
      [1, '1'],
      [10, '10'],
      [100, '100'],
      [1_000, '1,000'],
    ],
  },
  {
    title: 'CPU, leading (of a core)',
    of: ({ leading }) => leading?.cpuPercent,
    ticks: PERCENTAGES,
  },
  {
    title: 'CPU, following (of a core)',
    of: ({ following }) => following?.cpuPercent,
    ticks: PERCENTAGES,
  },
  {
    title: 'Memory, leading (RSS)',
    of: ({ leading }) => leading?.rssMb,
    ticks: [
      [10, '10 MB'],
      [100, '100 MB'],
      [1_000, '1 GB'],
    ],
  },
];

export function scalePicture(title: string, all: readonly ScaleFigures[]): string {
  const rows = Math.ceil(PANELS.length / 3);
  const height = ORIGIN.y + rows * (PANEL.height + PANEL.gapY);
  const drawing = new Drawing(WIDTH, height, `${title}: ${PANELS.map((panel) => panel.title).join(', ')}.`);
  drawing.text({ x: 16, y: 28 }, title, 'title');
  drawing.dot({ x: 22, y: 50 }, 'elector');
  drawing.text({ x: 32, y: 54 }, 'nestjs-leader');
  drawing.dot({ x: 138, y: 50 }, 'client-go');
  drawing.text({ x: 148, y: 54 }, 'client-go');
  drawing.text(
    { x: 230, y: 54 },
    'across: elections in one process; each step is ten times as much; lower is better',
    'faint',
  );
  for (const [index, panel] of PANELS.entries()) {
    const left = ORIGIN.x + (index % 3) * (PANEL.width + PANEL.gapX);
    const top = ORIGIN.y + Math.floor(index / 3) * (PANEL.height + PANEL.gapY);
    draw(drawing, panel, all, { x: left, y: top });
  }
  return drawing.toString();
}

function draw(
  drawing: Drawing,
  { title, of, ticks }: Panel,
  all: readonly ScaleFigures[],
  { x: left, y: top }: Point,
): void {
  const sizes = [...new Set(all.map(({ elections }) => elections))].sort((a, b) => a - b);
  const [low, high] = [ticks[0]?.[0] ?? 1, ticks.at(-1)?.[0] ?? 10];
  const plot = {
    left: left + INSET_LEFT + 8,
    right: left + PANEL.width - 12,
    top,
    bottom: top + PANEL.height,
  };
  const x = logScale([sizes[0] ?? 1, sizes.at(-1) ?? 10], [plot.left, plot.right]);
  const y = logScale([low, high], [plot.bottom, plot.top]);
  drawing.text({ x: left, y: top - 14 }, title, 'head');
  for (const [value, label] of ticks) {
    drawing.rule(
      { x: plot.left - 4, y: y(value) },
      { x: plot.right + 8, y: y(value) },
      value === low ? 'axis' : 'grid',
    );
    drawing.text({ x: plot.left - 8, y: y(value) + 4 }, label, 'faint small', 'end');
  }
  for (const size of sizes)
    drawing.text({ x: x(size), y: plot.bottom + 18 }, size.toLocaleString('en-US'), 'faint small', 'middle');
  for (const [side, colour] of [
    ['client-go', 'client-go'],
    ['elector', 'elector'],
  ] as const satisfies readonly (readonly [string, Colour])[]) {
    const points = all
      .filter((figures) => figures.side === side)
      .flatMap((figures) => {
        const value = of(figures);
        return value === undefined ? [] : [{ x: x(figures.elections), y: y(value) }];
      });
    drawing.curve(points, colour);
    for (const point of points) drawing.dot(point, colour);
    for (const { elections } of all.filter((figures) => figures.side === side && of(figures) === undefined))
      drawing.text({ x: x(elections), y: plot.top + 4 }, 'never', `small ${colour}`, 'middle');
  }
}
