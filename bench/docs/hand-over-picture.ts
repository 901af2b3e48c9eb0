/** Draws the share of hand-overs that were completed after a given time. */
import { duration } from '../markdown.js';
import { summarise } from '../summary.js';
import { Drawing, linearScale, logScale, type Colour, type Point } from './drawing.js';

export interface Curve {
  readonly name: string;
  readonly colour: Colour;
  /** Milliseconds. */
  readonly values: readonly number[];
}

const WIDTH = 860;
const HEIGHT = 420;
const PLOT = { left: 64, right: 560, top: 64, bottom: 360 };
const TICKS: readonly (readonly [ms: number, label: string])[] = [
  [1, '1 ms'],
  [10, '10 ms'],
  [100, '100 ms'],
  [1_000, '1 s'],
  [10_000, '10 s'],
];

export function handOverPicture(title: string, curves: readonly Curve[]): string {
  const drawing = new Drawing(
    WIDTH,
    HEIGHT,
    `${title}. ${curves.map((curve) => `${curve.name}: ${inWords(curve)}`).join('; ')}.`,
  );
  const x = logScale([1, 10_000], [PLOT.left, PLOT.right]);
  const y = linearScale(100, [PLOT.bottom, PLOT.top]);
  drawing.text({ x: 16, y: 28 }, title, 'title');
  for (const [ms, label] of TICKS) {
    drawing.rule({ x: x(ms), y: PLOT.top }, { x: x(ms), y: PLOT.bottom });
    drawing.text({ x: x(ms), y: PLOT.bottom + 20 }, label, 'faint', 'middle');
  }
  for (const share of [0, 25, 50, 75, 100]) {
    drawing.rule(
      { x: PLOT.left, y: y(share) },
      { x: PLOT.right, y: y(share) },
      share === 0 ? 'axis' : 'grid',
    );
    drawing.text({ x: PLOT.left - 8, y: y(share) + 4 }, `${String(share)} %`, 'faint', 'end');
  }
  drawing.text(
    { x: (PLOT.left + PLOT.right) / 2, y: HEIGHT - 16 },
    'over after (each step is ten times as long)',
    'faint',
    'middle',
  );
  for (const [index, curve] of curves.entries()) {
    drawing.curve(steps(curve.values, x, y), curve.colour);
    const top = PLOT.top + 14 + index * 62;
    drawing.curve(
      [
        { x: PLOT.right + 28, y: top - 5 },
        { x: PLOT.right + 56, y: top - 5 },
      ],
      curve.colour,
    );
    drawing.text({ x: PLOT.right + 64, y: top }, curve.name, 'head');
    drawing.text({ x: PLOT.right + 64, y: top + 19 }, inWords(curve), 'faint');
  }
  return drawing.toString();
}

function inWords({ values }: Curve): string {
  const { p50, p99, n } = summarise(values);
  return `half in ${duration(p50)}, 99 % in ${duration(p99)} (n ${String(n)})`;
}

/** The points of a curve that rises by the share of one value at each value. */
function steps(values: readonly number[], x: (ms: number) => number, y: (share: number) => number): Point[] {
  const sorted = [...values].sort((a, b) => a - b);
  const points: Point[] = [{ x: x(1), y: y(0) }];
  for (const [index, value] of sorted.entries()) {
    points.push({ x: x(value), y: y((index / sorted.length) * 100) });
    points.push({ x: x(value), y: y(((index + 1) / sorted.length) * 100) });
  }
  points.push({ x: x(10_000), y: y(100) });
  return points;
}
