/** Reads what clients send as JSON: Leases and DeleteOptions. */
import { API_VERSION, type LeaseMetadata, type LeaseObject, type LeaseSpec } from './lease-object.js';
import { failed } from './status.js';

/** A value of a wrong type: refused with 400 in a body, and with 422 in a Lease that was patched. */
export class UnreadableError extends Error {
  override readonly name = 'UnreadableError';
}

/** The body of a DELETE. */
export interface DeleteOptions {
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly propagationPolicy?: string;
  readonly dryRun?: readonly string[];
}

/** @throws StatusError 400 */
export function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (error) {
    throw failed(400, `the body is not JSON: ${String(error)}`);
  }
}

/**
 * Parses a body and reads it with `read`. A body without a content type counts as JSON.
 *
 * @throws StatusError 400, 415
 */
export function readBody<T>(body: string, contentType = '', read: (value: unknown) => T): T {
  const type = contentType.split(';')[0]?.trim();
  const format = 'the body of the request was in an unknown format';
  if (type !== '' && type !== 'application/json')
    throw failed(415, `${format} - accepted media types include: application/json`);
  try {
    return read(parseJson(body));
  } catch (error) {
    throw error instanceof UnreadableError ? failed(400, error.message) : error;
  }
}

/**
 * Reads a Lease. A field that the API server does not know is left out, or refused if `isStrict`.
 *
 * @throws UnreadableError
 */
export function readLease(value: unknown, isStrict: boolean): LeaseObject {
  const unknown: string[] = [];
  const { kind = 'Lease', apiVersion = API_VERSION, ...lease } = read(value, leaseShape, '', unknown) as Sent;
  if (kind !== 'Lease' || apiVersion !== API_VERSION)
    throw new UnreadableError(`it is a ${kind} of ${apiVersion}, not a Lease of ${API_VERSION}`);
  if (isStrict && unknown.length > 0) throw new UnreadableError(`unknown fields: ${unknown.join(', ')}`);
  return { kind, apiVersion, metadata: lease.metadata ?? {}, spec: lease.spec ?? {} };
}

type Sent = Readonly<{ kind?: string; apiVersion?: string; metadata?: LeaseMetadata; spec?: LeaseSpec }>;

/** @throws UnreadableError */
export function readDeleteOptions(value: unknown): DeleteOptions {
  return read(value ?? {}, deleteOptionsShape, '', []) as DeleteOptions;
}

/** Whether a value is an object, and neither a list nor null. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const TIME = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{6})(Z|[+-]\d\d:\d\d)$/;

/** The time in UTC, with exactly six fractional digits, as the API server wants and stores it. */
function microTime(value: unknown): string | undefined {
  const [, seconds = '', micros = '', zone = ''] = TIME.exec(typeof value === 'string' ? value : '') ?? [];
  // Date.parse takes 30 February for 2 March.
  const isReal = JSON.stringify(new Date(`${seconds}Z`)).startsWith(`"${seconds}`);
  const ms = isReal ? Date.parse(seconds + zone) : Number.NaN;
  return Number.isNaN(ms) ? undefined : `${new Date(ms).toISOString().slice(0, 19)}.${micros}Z`;
}

/** The kinds of values. Each function returns what is stored, or undefined if the value is of another kind. */
const kinds = {
  'a string': (value: unknown) => (typeof value === 'string' ? value : undefined),
  'true or false': (value: unknown) => (typeof value === 'boolean' ? value : undefined),
  'an integer of 32 bits': (value: unknown) => (value === (Number(value) | 0) ? value : undefined),
  'a time such as 2026-01-31T12:00:00.000000Z': microTime,
  anything: (value: unknown) => value,
} as const;

/** What a value must be: of a kind, a list, or an object with these fields. The field `*` stands for every field. */
type Shape = keyof typeof kinds | readonly [Shape] | { readonly [field: string]: Shape };

function fields<Kind extends keyof typeof kinds>(kind: Kind, ...names: string[]): Record<string, Kind> {
  return Object.fromEntries(names.map((name) => [name, kind]));
}

const leaseShape: Shape = {
  ...fields('a string', 'kind', 'apiVersion'),
  metadata: {
    ...fields('a string', 'name', 'generateName', 'namespace', 'uid', 'resourceVersion'),
    labels: { '*': 'a string' },
    annotations: { '*': 'a string' },
    ownerReferences: [
      {
        ...fields('a string', 'apiVersion', 'kind', 'name', 'uid'),
        ...fields('true or false', 'controller', 'blockOwnerDeletion'),
      },
    ],
    finalizers: ['a string'],
    // The server sets these itself and ignores what clients send.
    ...fields('anything', 'creationTimestamp', 'deletionTimestamp', 'deletionGracePeriodSeconds'),
    ...fields('anything', 'generation', 'managedFields', 'selfLink'),
  },
  spec: {
    ...fields('a string', 'holderIdentity', 'strategy', 'preferredHolder'),
    ...fields('an integer of 32 bits', 'leaseDurationSeconds', 'leaseTransitions'),
    ...fields('a time such as 2026-01-31T12:00:00.000000Z', 'acquireTime', 'renewTime'),
  },
};

const deleteOptionsShape: Shape = {
  preconditions: fields('a string', 'uid', 'resourceVersion'),
  propagationPolicy: 'a string',
  dryRun: ['a string'],
};

/**
 * Reads one value. A field that is null counts as absent.
 *
 * @param at where the value is, such as `spec.holderIdentity`.
 * @param unknown takes the fields that are not known.
 */
function read(value: unknown, shape: Shape, at: string, unknown: string[]): unknown {
  if (typeof shape === 'string') return kinds[shape](value) ?? refuse(at, shape);
  if (isList(shape)) {
    if (!Array.isArray(value)) return refuse(at, 'a list');
    return value.map((each: unknown, index) => read(each, shape[0], `${at}[${String(index)}]`, unknown));
  }
  if (!isObject(value)) return refuse(at, 'an object');
  const known: [string, unknown][] = [];
  for (const [name, each] of Object.entries(value)) {
    const path = at === '' ? name : `${at}.${name}`;
    const fieldShape = Object.hasOwn(shape, name) ? shape[name] : shape['*'];
    if (fieldShape === undefined) unknown.push(path);
    else if (each !== null) known.push([name, read(each, fieldShape, path, unknown)]);
  }
  return Object.fromEntries(known);
}

function isList(shape: Exclude<Shape, string>): shape is readonly [Shape] {
  return Array.isArray(shape);
}

function refuse(at: string, wanted: string): never {
  throw new UnreadableError(`${at === '' ? 'the body' : at} must be ${wanted}`);
}
