/**
 * How an input is made of one in the corpus: by changes of its bytes, its lines, and the JSON values in it. Each change is drawn by
 * fast-check, which leaves changes out again to find the shortest failing case.
 */
import fc from 'fast-check';

/** A place in an input of any length, from 0 to just below 1. */
type Place = number;

/** One change of an input. */
export type Change =
  | { readonly do: 'flip'; readonly at: Place; readonly bit: number }
  | { readonly do: 'cut' | 'keep'; readonly at: Place; readonly length: Place }
  | { readonly do: 'repeat'; readonly at: Place; readonly length: Place; readonly times: number }
  | { readonly do: 'insert'; readonly at: Place; readonly text: string }
  | { readonly do: 'value' | 'line' | 'field' | 'word'; readonly at: Place; readonly text: string }
  | { readonly do: 'removeField' | 'removeLine' | 'repeatLine'; readonly at: Place }
  | { readonly do: 'nest'; readonly at: Place; readonly depth: number };

/** A secret in an input: no error and no output may contain it. */
export const SECRET = 'marzipan-in-the-input';

/** A long text is cut where it is printed. */
const LONG = 'x'.repeat(70_000);

/** JSON values, and what is almost JSON. */
const values = [
  ...[
    'null',
    'true',
    'false',
    '0',
    '-0',
    '-1',
    '1',
    '1.5',
    '1e3',
    '1e999',
    '-1e999',
    '2147483647',
    '2147483648',
  ],
  ...[
    '9007199254740993',
    '9'.repeat(400),
    '0x10',
    'NaN',
    'Infinity',
    '""',
    '" "',
    '[]',
    '{}',
    '[null]',
    '[[]]',
  ],
  ...['{"__proto__":{"polluted":true}}', '{"constructor":{"prototype":{"polluted":true}}}', '{"length":-1}'],
  ...['"\\ud800"', '"\\u0000"', '"\\u001b[2J"', '"\\u009b2J"', '"\\u202e"', '"\\u2028"', '"a\\nb"', '"é😀"'],
  ...[
    '"1970-01-01T00:00:00Z"',
    '"2026-13-45T99:99:99.000000Z"',
    '"+275760-09-13T00:00:00.000Z"',
    '"-1"',
    '"0"',
  ],
  ...[`"${SECRET}"`, `"${LONG}"`, `[${'null,'.repeat(5_000)}null]`, `{"token":"${SECRET}"}`],
];

const words = [
  ...['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'length', 'then', ''],
  ...[
    'kind',
    'metadata',
    'spec',
    'status',
    'items',
    'type',
    'object',
    'name',
    'namespace',
    'uid',
    'resourceVersion',
  ],
  ...[
    'continue',
    'reason',
    'message',
    'details',
    'causes',
    'code',
    'holderIdentity',
    'managedFields',
    'annotations',
  ],
  SECRET,
];

/** What is put between two bytes. */
const texts = [
  ...[
    '\0',
    '\u001b[2J',
    '\n',
    '\r\n',
    '\r',
    '\r\n\r\n',
    '\ufeff',
    '\ud800',
    '\u0085',
    '\u2028',
    ' ',
    '\t',
    ',',
    ':',
    '"',
    '\\',
  ],
  ...[
    '{',
    '}',
    '[',
    ']',
    '%',
    '%zz',
    '&',
    '*a',
    '&a [*a]',
    '!!js/function',
    '---\n',
    '#',
    '|',
    '>',
    '=',
    ';',
    '/',
    '..',
  ],
  ...[
    SECRET,
    LONG,
    '9'.repeat(300),
    '-----BEGIN CERTIFICATE-----\n',
    '-----END CERTIFICATE-----\n',
    '0\r\n\r\n',
  ],
  ...values,
];

const lines = [
  ...[
    'retry-after: 1e308',
    'retry-after: -1',
    'retry-after: Fri, 31 Dec 9999 23:59:59 GMT',
    'retry-after: 1, 2',
  ],
  ...[
    'date: Sat, 13 Sep 275760 00:00:00 GMT',
    'date: never',
    'content-length: -1',
    'content-length: 99999999999',
  ],
  ...[
    'transfer-encoding: chunked',
    'content-encoding: gzip',
    'connection: close',
    `x-note: ${SECRET}`,
    `x: ${LONG}`,
  ],
  ...[
    'HTTP/1.1 100 Continue',
    'HTTP/1.1 101 Switching Protocols',
    'HTTP/1.1 204 No Content',
    'HTTP/1.1 999 ?',
    '',
  ],
  ...[
    '  exec: {command: ./missing, args: 5, env: 7}',
    '  server: https://127.0.0.1:1',
    '  token: 5',
    `  token: ${SECRET}`,
  ],
  ...[
    '  namespace: 5',
    '  proxy-url: 7',
    '  tls-server-name: [1]',
    '  insecure-skip-tls-verify: true',
    '- null',
    '- 5',
  ],
];

const place = fc.double({ min: 0, max: 0.999_999, noNaN: true });

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ do: fc.constant('flip' as const), at: place, bit: fc.nat(7) }),
  fc.record({ do: fc.constantFrom('cut' as const, 'keep' as const), at: place, length: place }),
  fc.record({
    do: fc.constant('repeat' as const),
    at: place,
    length: place,
    times: fc.integer({ min: 1, max: 50 }),
  }),
  fc.record({ do: fc.constant('insert' as const), at: place, text: fc.constantFrom(...texts) }),
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('value' as const), at: place, text: fc.constantFrom(...values) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('field' as const), at: place, text: field() }) },
  fc.record({ do: fc.constant('removeField' as const), at: place }),
  fc.record({ do: fc.constant('word' as const), at: place, text: fc.constantFrom(...words, ...texts) }),
  fc.record({ do: fc.constant('line' as const), at: place, text: fc.constantFrom(...lines) }),
  fc.record({ do: fc.constantFrom('removeLine' as const, 'repeatLine' as const), at: place }),
  fc.record({ do: fc.constant('nest' as const), at: place, depth: fc.constantFrom(10, 1_000, 20_000) }),
);

function field(): fc.Arbitrary<string> {
  return fc
    .tuple(fc.constantFrom(...words), fc.constantFrom(...values))
    .map(([name, value]) => `${JSON.stringify(name)}:${value}`);
}

/** An input that is longer than this is cut: what is too long is the subject of floods.test.ts. */
const LONGEST = 1024 * 1024;

/** Inputs that were changed a few times, each made of one of the corpus. */
export function changed(corpus: readonly Buffer[]): fc.Arbitrary<Buffer> {
  return fc
    .tuple(fc.nat(corpus.length - 1), fc.array(change, { minLength: 1, maxLength: 6 }))
    .map(([each, changes]) =>
      changes.reduce((bytes, one) => apply(bytes, one).subarray(0, LONGEST), corpus[each] ?? Buffer.alloc(0)),
    );
}

function apply(bytes: Buffer, change: Change): Buffer {
  const at = Math.floor(change.at * bytes.length);
  switch (change.do) {
    case 'flip': {
      const flipped = Buffer.from(bytes);
      if (at < flipped.length) flipped[at] = (flipped[at] ?? 0) ^ (1 << change.bit);
      return flipped;
    }
    case 'cut':
      return replaced(bytes, [at, endOf(change.length, at, bytes)], '');
    case 'keep':
      return bytes.subarray(0, at);
    case 'repeat': {
      const piece = bytes.subarray(at, endOf(change.length, at, bytes));
      const times = Math.min(change.times, Math.ceil(LONGEST / Math.max(piece.length, 1)));
      return replaced(bytes, [at, at], Buffer.concat(Array.from({ length: times }, () => piece)));
    }
    case 'insert':
      return replaced(bytes, [at, at], change.text);
    case 'value':
      return replacedOneOf(bytes, spansOfValues(bytes), change.at, change.text);
    case 'word':
      return replacedOneOf(bytes, spansOf(bytes, /[\w.-]+/g), change.at, change.text);
    case 'field':
      return replacedOneOf(bytes, spansOf(bytes, /(?<=\{)/g), change.at, `${change.text},`);
    case 'removeField':
      return replacedOneOf(bytes, spansOf(bytes, /"(?:[^"\\]|\\.)*"\s*:/g), change.at, '');
    case 'line':
      return replacedOneOf(bytes, spansOf(bytes, /(?<=\n)/g), change.at, `${change.text}\n`);
    case 'removeLine':
      return replacedOneOf(bytes, spansOf(bytes, /(?<=^|\n)[^\n]*\n/g), change.at, '');
    case 'repeatLine': {
      const span = pick(spansOf(bytes, /(?<=^|\n)[^\n]*\n/g), change.at);
      return span === undefined ? bytes : replaced(bytes, [span[0], span[0]], bytes.subarray(...span));
    }
    case 'nest': {
      const nested = `${'[{"a":'.repeat(change.depth)}1${'}]'.repeat(change.depth)}`;
      return replacedOneOf(bytes, spansOfValues(bytes), change.at, nested);
    }
  }
}

/** Where a part begins and where it ends. */
type Span = readonly [from: number, to: number];

function endOf(length: Place, from: number, bytes: Buffer): number {
  // Short parts are more interesting than long ones.
  return from + 1 + Math.floor(length ** 3 * (bytes.length - from));
}

function replaced(bytes: Buffer, [from, to]: Span, by: string | Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, from), Buffer.from(by as string), bytes.subarray(to)]);
}

function replacedOneOf(bytes: Buffer, spans: readonly Span[], at: Place, by: string): Buffer {
  const span = pick(spans, at);
  return span === undefined ? bytes : replaced(bytes, span, by);
}

function pick(spans: readonly Span[], at: Place): Span | undefined {
  return spans[Math.floor(at * spans.length)];
}

/** The spans of what matches in an input, whatever its bytes are. */
function spansOf(bytes: Buffer, words: RegExp): Span[] {
  return [...bytes.toString('latin1').matchAll(words)].map((found) => [
    found.index,
    found.index + found[0].length,
  ]);
}

/** The spans of the JSON values in an input: of strings, numbers and words, and of whole objects and lists. */
function spansOfValues(bytes: Buffer): Span[] {
  const spans: Span[] = [];
  const open: number[] = [];
  for (const [from, to] of spansOf(
    bytes,
    /"(?:[^"\\]|\\.)*"(?!\s*:)|-?\d[\d.eE+-]*|\b(?:true|false|null)\b|[{}[\]]/g,
  )) {
    const first = bytes[from];
    if (first === 0x7b || first === 0x5b) open.push(from);
    else if (first === 0x7d || first === 0x5d) spans.push([open.pop() ?? from, to]);
    else spans.push([from, to]);
  }
  return spans;
}
