import { describe, expect, it } from 'vitest';
import { TEXT, fieldsOf, kindOf, refuseInvalid, show } from '../../lib/election/internal.js';

const circular: Record<string, unknown> = {};
circular['self'] = circular;
const throwing = new Proxy(
  {},
  {
    get: () => {
      throw new TypeError('trap');
    },
    getPrototypeOf: () => {
      throw new TypeError('trap');
    },
    ownKeys: () => {
      throw new TypeError('trap');
    },
  },
);
const bare: unknown = Object.create(null);

describe('a value in an error text', () => {
  it.each<[unknown, string]>([
    [undefined, 'missing'],
    [null, 'null'],
    ['x', "'x'"],
    ['it\'s "so"\n', `\`it's "so"\\n\``],
    ['\\', "'\\\\'"],
    [Number.NaN, 'NaN'],
    [-Infinity, '-Infinity'],
    [7n, '7n'],
    [Symbol('secret'), 'a symbol'],
    [() => 1, 'a function'],
    [[], '[]'],
    [[1, 'a', undefined], "[ 1, 'a', undefined ]"],
    [[1, 2, 3, 4, 5, 6], '[ 1, 2, 3, 4, 5, ... 1 more item ]'],
    [{ a: { b: 1 }, d: 2n }, '{ a: [Object], d: 2n }'],
    [bare, '{}'],
    [circular, '{ self: [Object] }'],
    [new Map([[1, 2]]), 'a Map'],
    [throwing, 'an object that cannot be inspected'],
    ['x'.repeat(1_000), `'${'x'.repeat(50)}'... 950 more characters`],
  ])('%#', (value, shown) => {
    expect(show(value)).toBe(shown);
  });

  it('is short, whatever it is', () => {
    const long = 'y'.repeat(10_000);
    for (const value of [long, { [long]: long }, [long, long], 10n ** 5_000n, '\u0000'.repeat(999)])
      expect(show(value).length).toBeLessThanOrEqual(81);
  });
});

it.each<[unknown, string]>([
  [undefined, 'missing'],
  [null, 'null'],
  ['secret', 'string'],
  [['secret'], 'an array'],
  [{ secret: 1 }, 'an object'],
  [bare, 'an object'],
  [new Date(), 'a Date'],
  [Object.create({ constructor: { name: 'a line\nfeed' } }), 'an object'],
  [throwing, 'an object that cannot be inspected'],
])('the kind of a value: %#', (value, kind) => {
  expect(kindOf(value)).toBe(kind);
});

it('the fields of an object include the given inherited fields, and no others', () => {
  class Given {
    own = 1;
    get known(): number {
      return 2;
    }
    get other(): number {
      return 3;
    }
  }
  expect(fieldsOf(new Given(), ['known', 'own', 'neither'])).toEqual({ own: 1, known: 2 });
});

it('only an object of names and values has fields', () => {
  class Settings {
    readonly server = 'x';
  }
  expect([{ a: 1 }, bare, new Settings()].map((value) => fieldsOf(value))).toEqual([
    { a: 1 },
    {},
    { server: 'x' },
  ]);
  for (const value of [null, undefined, 'x', 7n, [], new Map(), new Set(), new Date(), throwing, () => 1])
    expect(fieldsOf(value)).toBeUndefined();
});

it.each([undefined, 'x', ' x '])('%j is a text or has a default', (name) => {
  refuseInvalid('The options', { name }, { name: TEXT });
});

it.each(['', ' \n', 7, null])('%j is no text', (name) => {
  expect(() => {
    refuseInvalid('The options', { name }, { name: TEXT });
  }).toThrow(`The options break a rule:\n  - name is ${show(name)}: it must be a non-empty string`);
});
