/** Creates pictures as SVG text, for light and dark pages. */

/** Each thing has the same colour in every picture. */
const COLOURS: Readonly<Record<string, readonly [light: string, dark: string]>> = {
  elector: ['#0969da', '#58a6ff'],
  nest: ['#8250df', '#bc8cff'],
  'client-go': ['#bc4c00', '#f0883e'],
  codedependant: ['#1a7f37', '#3fb950'],
  floor: ['#6e7781', '#8b949e'],
  bare: ['#6e7781', '#8b949e'],
};

/** A class of COLOURS. */
export type Colour = 'elector' | 'nest' | 'client-go' | 'codedependant' | 'floor' | 'bare';

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Maps a value to a coordinate. */
export type Scale = (value: number) => number;

export function logScale(
  [low, high]: readonly [number, number],
  [from, to]: readonly [number, number],
): Scale {
  const span = Math.log10(high / low);
  return (value) => from + (Math.log10(Math.max(value, low) / low) / span) * (to - from);
}

export function linearScale(high: number, [from, to]: readonly [number, number]): Scale {
  return (value) => from + (value / high) * (to - from);
}

export class Drawing {
  readonly #width: number;
  readonly #height: number;
  readonly #title: string;
  readonly #elements: string[] = [];

  /** @param title a description of the picture, for readers who cannot see it. */
  constructor(width: number, height: number, title: string) {
    this.#width = width;
    this.#height = height;
    this.#title = title;
  }

  text({ x, y }: Point, text: string, kind = '', anchor: 'start' | 'middle' | 'end' = 'start'): void {
    this.#elements.push(
      `<text x="${place(x)}" y="${place(y)}" class="${kind}" text-anchor="${anchor}">${escaped(text)}</text>`,
    );
  }

  rule(from: Point, to: Point, kind = 'grid'): void {
    this.#elements.push(
      `<line x1="${place(from.x)}" y1="${place(from.y)}" x2="${place(to.x)}" y2="${place(to.y)}" class="${kind}"/>`,
    );
  }

  curve(points: readonly Point[], colour: Colour): void {
    const path = points.map(({ x, y }) => `${place(x)},${place(y)}`).join(' ');
    this.#elements.push(`<polyline points="${path}" class="curve ${colour}-line"/>`);
  }

  dot({ x, y }: Point, colour: Colour): void {
    this.#elements.push(`<circle cx="${place(x)}" cy="${place(y)}" r="3.5" class="${colour}"/>`);
  }

  bar({ x, y }: Point, width: number, height: number, colour: Colour): void {
    this.#elements.push(
      `<rect x="${place(x)}" y="${place(y)}" width="${place(width)}" height="${place(height)}" rx="2" class="${colour}"/>`,
    );
  }

  toString(): string {
    const size = `${String(this.#width)} ${String(this.#height)}`;
    return [
      `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size}" width="${String(this.#width)}" height="${String(this.#height)}" role="img">`,
      `<title>${escaped(this.#title)}</title>`,
      `<style>${style()}</style>`,
      '<rect width="100%" height="100%" class="page"/>',
      ...this.#elements,
      '</svg>\n',
    ].join('\n');
  }
}

function style(): string {
  const rules = (theme: 0 | 1, page: string, text: string, faint: string, grid: string): string =>
    [
      `.page{fill:${page}}text{fill:${text}}.faint{fill:${faint}}.grid{stroke:${grid}}.axis{stroke:${faint}}`,
      ...Object.entries(COLOURS).map(
        ([name, colours]) => `.${name}{fill:${colours[theme]}}.${name}-line{stroke:${colours[theme]}}`,
      ),
    ].join('');
  return [
    'text{font:13px -apple-system,BlinkMacSystemFont,"Segoe UI",Helvetica,Arial,sans-serif}',
    '.title{font-size:16px;font-weight:600}.head{font-weight:600}.small{font-size:11px}',
    '.curve{fill:none;stroke-width:2.2}.floor-line{stroke-dasharray:5 4}',
    rules(0, '#ffffff', '#1f2328', '#656d76', '#e3e6ea'),
    `@media (prefers-color-scheme:dark){${rules(1, '#0d1117', '#e6edf3', '#8b949e', '#262c36')}}`,
  ].join('');
}

function place(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
