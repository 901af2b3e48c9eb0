/** Draws a few figures as bars with their values. */
import { Drawing, linearScale, type Colour } from './drawing.js';

export interface Bar {
  readonly name: string;
  readonly colour: Colour;
  readonly value: number;
}

const WIDTH = 860;
const ROW = 34;
const TOP = 52;
const LEFT = 300;
const RIGHT = 760;

export function barsPicture(title: string, bars: readonly Bar[], show: (value: number) => string): string {
  const words = bars.map(({ name, value }) => `${name} ${show(value)}`).join(', ');
  const drawing = new Drawing(WIDTH, TOP + bars.length * ROW + 12, `${title}: ${words}.`);
  const length = linearScale(Math.max(...bars.map(({ value }) => value)), [0, RIGHT - LEFT]);
  drawing.text({ x: 16, y: 28 }, title, 'title');
  for (const [index, { name, colour, value }] of bars.entries()) {
    const top = TOP + index * ROW;
    drawing.text({ x: LEFT - 12, y: top + 17 }, name, '', 'end');
    drawing.bar({ x: LEFT, y: top + 2 }, length(value), ROW - 12, colour);
    drawing.text({ x: LEFT + length(value) + 8, y: top + 17 }, show(value), 'head');
  }
  return drawing.toString();
}
