/**
 * JSON as the API server reads it. `JSON.parse` forgets what decides about a Lease: how a number was written
 * (`15.0` is refused, `15` is not) and that a field came twice; and the server's complaint is part of its answer.
 */
import { goQuote } from './go-quote.js';

/** A value, as written. */
export type JsonNode =
  | { readonly kind: 'null' }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'number'; readonly literal: string }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'array'; readonly items: readonly JsonNode[] }
  | { readonly kind: 'object'; readonly members: readonly JsonMember[] };

/** A name and its value; names may repeat. */
export interface JsonMember {
  readonly name: string;
  readonly value: JsonNode;
}

/** The text is no JSON; the message is the API server's. */
export class JsonSyntaxError extends Error {
  override readonly name = 'JsonSyntaxError';
}

/** The API server goes to 10,000; a Lease needs about eight. */
export const MAX_DEPTH = 100;
/** Of one body, the parts of its lists and objects included: work that grows with their square stays small. */
export const MAX_VALUES = 10_000;

/**
 * Reads one value.
 *
 * @throws JsonSyntaxError
 */
export function parseJson(text: string): JsonNode {
  return new JsonReader(text).read();
}

const literals: Readonly<Record<string, JsonNode>> = {
  true: { kind: 'bool', value: true },
  false: { kind: 'bool', value: false },
  null: { kind: 'null' },
};

const escapes: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

/** As far as a string goes on without its end or an escape. */
// eslint-disable-next-line no-control-regex -- control characters may not stand in a string
const PLAIN_TEXT = /[^"\\\x00-\x1f]*/y;

class JsonReader {
  readonly #text: string;
  #at = 0;
  #depth = 0;
  #values = 0;

  constructor(text: string) {
    this.#text = text;
  }

  read(): JsonNode {
    const value = this.#value();
    this.#skipSpace();
    if (this.#at < this.#text.length) this.#fail('after top-level value');
    return value;
  }

  #value(): JsonNode {
    this.#values += 1;
    if (this.#values > MAX_VALUES) {
      throw new JsonSyntaxError(
        `there are more than ${String(MAX_VALUES)} values, the most this server takes`,
      );
    }
    this.#skipSpace();
    const character = this.#peek();
    if (character === '{') return this.#nested(() => this.#object());
    if (character === '[') return this.#nested(() => this.#array());
    if (character === '"') return { kind: 'string', value: this.#string() };
    if (character === '-' || isDigit(character)) return { kind: 'number', literal: this.#number() };
    for (const [word, node] of Object.entries(literals)) {
      if (character === word[0]) {
        this.#word(word);
        return node;
      }
    }
    return this.#fail('looking for beginning of value');
  }

  #nested(read: () => JsonNode): JsonNode {
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) throw new JsonSyntaxError('exceeded max depth');
    const node = read();
    this.#depth -= 1;
    return node;
  }

  #object(): JsonNode {
    const members: JsonMember[] = [];
    this.#at += 1;
    this.#skipSpace();
    if (this.#take('}')) return { kind: 'object', members };
    for (;;) {
      this.#skipSpace();
      if (this.#peek() !== '"') this.#fail('looking for beginning of object key string');
      const name = this.#string();
      this.#skipSpace();
      if (!this.#take(':')) this.#fail('after object key');
      members.push({ name, value: this.#value() });
      this.#skipSpace();
      if (this.#take('}')) return { kind: 'object', members };
      if (!this.#take(',')) this.#fail('after object key:value pair');
    }
  }

  #array(): JsonNode {
    const items: JsonNode[] = [];
    this.#at += 1;
    this.#skipSpace();
    if (this.#take(']')) return { kind: 'array', items };
    for (;;) {
      items.push(this.#value());
      this.#skipSpace();
      if (this.#take(']')) return { kind: 'array', items };
      if (!this.#take(',')) this.#fail('after array element');
    }
  }

  #string(): string {
    let value = '';
    this.#at += 1;
    for (;;) {
      PLAIN_TEXT.lastIndex = this.#at;
      const plain = PLAIN_TEXT.exec(this.#text)?.[0] ?? '';
      value += plain;
      this.#at += plain.length;
      const character = this.#peek();
      if (character < ' ') this.#fail('in string literal');
      this.#at += 1;
      if (character === '"') return value;
      value += this.#escape();
    }
  }

  #escape(): string {
    const character = this.#peek();
    const plain = escapes[character];
    if (plain === undefined && character !== 'u') this.#fail('in string escape code');
    this.#at += 1;
    if (plain !== undefined) return plain;
    const start = this.#at;
    while (this.#at < start + 4) {
      if (!/^[0-9a-fA-F]$/.test(this.#peek())) this.#fail('in \\u hexadecimal character escape');
      this.#at += 1;
    }
    return String.fromCharCode(Number.parseInt(this.#text.slice(start, this.#at), 16));
  }

  #number(): string {
    const start = this.#at;
    if (this.#take('-') && !isDigit(this.#peek())) this.#fail('in numeric literal');
    if (!this.#take('0')) this.#digits();
    if (this.#take('.')) this.#digits('after decimal point in numeric literal');
    if (this.#take('e') || this.#take('E')) {
      if (!this.#take('+')) this.#take('-');
      this.#digits('in exponent of numeric literal');
    }
    return this.#text.slice(start, this.#at);
  }

  #digits(complaint = ''): void {
    if (complaint !== '' && !isDigit(this.#peek())) this.#fail(complaint);
    while (this.#at < this.#text.length && isDigit(this.#text.charAt(this.#at))) this.#at += 1;
  }

  #word(word: string): void {
    for (const expected of word) {
      if (this.#peek() !== expected) this.#fail(`in literal ${word} (expecting '${expected}')`);
      this.#at += 1;
    }
  }

  #skipSpace(): void {
    while (this.#at < this.#text.length && ' \t\r\n'.includes(this.#text.charAt(this.#at))) this.#at += 1;
  }

  #take(character: string): boolean {
    if (this.#text.charAt(this.#at) !== character) return false;
    this.#at += 1;
    return true;
  }

  #peek(): string {
    if (this.#at >= this.#text.length) throw new JsonSyntaxError('unexpected end of JSON input');
    return this.#text.charAt(this.#at);
  }

  #fail(where: string): never {
    const character = this.#peek();
    const shown =
      character === "'" ? "'\\''" : character === '"' ? `'"'` : `'${goQuote(character).slice(1, -1)}'`;
    throw new JsonSyntaxError(`invalid character ${shown} ${where}`);
  }
}

function isDigit(character: string): boolean {
  return character >= '0' && character <= '9';
}

/** The value as JavaScript has it; a repeated name keeps its last value, numbers lose how they were written. */
export function toValue(node: JsonNode): unknown {
  switch (node.kind) {
    case 'null':
      return null;
    case 'bool':
    case 'string':
      return node.value;
    case 'number':
      return Number(node.literal);
    case 'array':
      return node.items.map(toValue);
    case 'object':
      return Object.fromEntries(node.members.map(({ name, value }) => [name, toValue(value)]));
  }
}

/** Compact JSON as the API server writes it: no raw `<`, `>`, `&` or line separators. */
export function toJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Compact JSON of a node, numbers as they were written. */
export function nodeToJson(node: JsonNode): string {
  switch (node.kind) {
    case 'null':
      return 'null';
    case 'bool':
      return String(node.value);
    case 'number':
      return node.literal;
    case 'string':
      return toJson(node.value);
    case 'array':
      return `[${node.items.map(nodeToJson).join(',')}]`;
    case 'object':
      return `{${node.members.map(({ name, value }) => `${toJson(name)}:${nodeToJson(value)}`).join(',')}}`;
  }
}
