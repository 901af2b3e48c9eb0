/**
 * JSON into a known shape, by the rules and with the complaints of the API server's decoder (Go's encoding/json as
 * forked by sigs.k8s.io/json): names are case-sensitive, null is nothing, the first wrong type is told, a time that
 * cannot be read is told before that, unknown and repeated fields are told apart from errors.
 */
import { toValue, type JsonMember, type JsonNode } from './json-text.js';
import { normaliseTime, type TimeLayout } from './wire-time.js';

/** A shape. `name` is its name in Go, which the complaints use. */
export type Shape =
  | { readonly kind: 'string' | 'bool'; readonly name: string }
  | { readonly kind: 'int32' | 'int64'; readonly name: string }
  | { readonly kind: 'time'; readonly layout: TimeLayout }
  | { readonly kind: 'map'; readonly name: string; readonly values: Shape }
  | { readonly kind: 'list'; readonly name: string; readonly items: Shape }
  | { readonly kind: 'any' }
  | StructShape;

/** An object with named fields, in the order in which the server writes them. */
export interface StructShape {
  readonly kind: 'struct';
  /** Without its package. */
  readonly name: string;
  /** As a type, e.g. `v1.Lease`. */
  readonly typeName: string;
  readonly fields: readonly Field[];
}

/** A field of a struct. */
export interface Field {
  readonly name: string;
  readonly shape: Shape;
  /**
   * What becomes of an empty string, list or map: `drop` (default): as good as none; `keep`: told from none (a pointer
   * in Go); `fill`: there also when it was not sent.
   */
  readonly empty?: 'drop' | 'keep' | 'fill';
}

/** The JSON does not fit; the message is the API server's. */
export class DecodingError extends Error {
  override readonly name = 'DecodingError';

  constructor(
    message: string,
    /** What was there: `string`, `number 1.5`. */
    readonly seen: string,
    /** The Go type that was expected. */
    readonly wanted: string,
  ) {
    super(message);
  }
}

/** What came out, and what the server would warn about. */
export interface Decoded {
  readonly value: Readonly<Record<string, unknown>>;
  /** `unknown field "spec.foo"`, `duplicate field "spec.bar"`. */
  readonly strictErrors: readonly string[];
}

/**
 * Reads `node` as `shape`.
 *
 * @throws DecodingError
 * @throws TimeSyntaxError
 */
export function decode(node: JsonNode, shape: StructShape): Decoded {
  const decoder = new Decoder();
  const value = decoder.decode(node, shape);
  if (decoder.firstError !== undefined) throw decoder.firstError;
  return {
    value: (value ?? {}) as Readonly<Record<string, unknown>>,
    strictErrors: [...decoder.strictErrors],
  };
}

/** As many as the API server tells. */
const MAX_STRICT_ERRORS = 100;

const numberRanges = {
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
} as const;

class Decoder {
  firstError: DecodingError | undefined;
  readonly strictErrors = new Set<string>();
  /** The struct being read and the names on the way to the present field. */
  #struct: StructShape | undefined;
  #fields: readonly string[] = [];
  /** The same way with the positions in lists. */
  #path = '';

  decode(node: JsonNode, shape: Shape): unknown {
    if (shape.kind === 'any') return toValue(node);
    if (node.kind === 'null') return undefined;
    switch (shape.kind) {
      case 'struct':
        return node.kind === 'object'
          ? this.#readStruct(node.members, shape)
          : this.#mismatch(node, shape.typeName);
      case 'map':
        return node.kind === 'object'
          ? this.#readMap(node.members, shape.values)
          : this.#mismatch(node, shape.name);
      case 'list':
        return node.kind === 'array'
          ? this.#readList(node.items, shape.items)
          : this.#mismatch(node, shape.name);
      case 'time':
        // Read by a method of its own in Go, whose errors end the decoding at once.
        if (node.kind !== 'string') throw this.#mismatchError(node.kind, 'string');
        return normaliseTime(node.value, shape.layout);
      case 'int32':
      case 'int64':
        return node.kind === 'number'
          ? this.#readNumber(node.literal, shape)
          : this.#mismatch(node, shape.name);
      case 'string':
      case 'bool':
        return node.kind === shape.kind ? node.value : this.#mismatch(node, shape.name);
    }
  }

  #readStruct(members: readonly JsonMember[], shape: StructShape): Record<string, unknown> {
    const outer = { struct: this.#struct, fields: this.#fields, path: this.#path };
    const read = new Map<string, unknown>();
    const seen = new Set<string>();
    for (const { name, value } of members) {
      const field = shape.fields.find((known) => known.name === name);
      if (field === undefined) {
        this.#strict('unknown', name);
        continue;
      }
      if (seen.has(name)) this.#strict('duplicate', name);
      seen.add(name);
      this.#struct = shape;
      this.#fields = [...outer.fields, name];
      this.#path = outer.path === '' ? name : `${outer.path}.${name}`;
      const decoded = this.decode(value, field.shape);
      if (decoded !== undefined) read.set(name, decoded);
      this.#struct = outer.struct;
      this.#fields = outer.fields;
      this.#path = outer.path;
    }
    return inOrder(shape, read);
  }

  #readMap(members: readonly JsonMember[], values: Shape): Record<string, unknown> {
    const read = new Map<string, unknown>();
    for (const { name, value } of members) {
      if (read.has(name)) this.#strict('duplicate', name);
      // Null in a map of strings is an empty string.
      read.set(name, this.decode(value, values) ?? '');
    }
    return Object.fromEntries([...read].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  #readList(items: readonly JsonNode[], shape: Shape): unknown[] {
    const outerPath = this.#path;
    const read = items.map((item, index) => {
      this.#path = `${outerPath}[${String(index)}]`;
      return this.decode(item, shape) ?? emptyOf(shape);
    });
    this.#path = outerPath;
    return read;
  }

  #readNumber(literal: string, shape: { readonly kind: 'int32' | 'int64'; readonly name: string }): unknown {
    const [least, most] = numberRanges[shape.kind];
    const value = /^-?\d{1,19}$/.test(literal) ? BigInt(literal) : undefined;
    if (value !== undefined && value >= least && value <= most) return Number(value);
    this.firstError ??= this.#mismatchError(`number ${literal}`, shape.name);
    return undefined;
  }

  #mismatch(node: JsonNode, wanted: string): unknown {
    this.firstError ??= this.#mismatchError(node.kind, wanted);
    return undefined;
  }

  #mismatchError(seen: string, wanted: string): DecodingError {
    const where =
      this.#struct === undefined
        ? `value of type ${wanted}`
        : `struct field ${this.#struct.name}.${this.#fields.join('.')} of type ${wanted}`;
    return new DecodingError(`json: cannot unmarshal ${seen} into Go ${where}`, seen, wanted);
  }

  #strict(what: 'unknown' | 'duplicate', name: string): void {
    if (this.strictErrors.size >= MAX_STRICT_ERRORS) return;
    this.strictErrors.add(`${what} field "${this.#path === '' ? name : `${this.#path}.${name}`}"`);
  }
}

/** The fields in the server's order, without those that are empty. */
function inOrder(shape: StructShape, read: ReadonlyMap<string, unknown>): Record<string, unknown> {
  const value: Record<string, unknown> = {};
  for (const { name, shape: fieldShape, empty = 'drop' } of shape.fields) {
    const field = read.get(name) ?? (empty === 'fill' ? emptyOf(fieldShape) : undefined);
    if (field !== undefined && (empty !== 'drop' || !isEmpty(field))) value[name] = field;
  }
  return value;
}

function isEmpty(value: unknown): boolean {
  if (value === '') return true;
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

function emptyOf(shape: Shape): unknown {
  switch (shape.kind) {
    case 'string':
      return '';
    case 'list':
      return [];
    case 'map':
      return {};
    case 'struct':
      return inOrder(shape, new Map());
    case 'bool':
    case 'int32':
    case 'int64':
    case 'time':
    case 'any':
      return undefined;
  }
}
