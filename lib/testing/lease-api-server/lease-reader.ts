/** From JSON to the objects that clients send: Leases and DeleteOptions. A value of a wrong type is refused. */
import { API_VERSION, type LeaseMetadata, type LeaseObject, type LeaseSpec } from './lease-object.js';
import { failed } from './status.js';

/** A value has the wrong type: 400 in a body, 422 in what a patch makes of a Lease. */
export class WrongTypeError extends Error {
  override readonly name = 'WrongTypeError';
}

/** A Lease, and the fields that the API server does not know: `spec.foo`. */
export interface ReadLease {
  readonly lease: LeaseObject;
  readonly unknownFields: readonly string[];
}

/** The body of a DELETE. */
export interface DeleteOptions {
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly propagationPolicy?: string;
  readonly dryRun?: readonly string[];
}

/** @throws StatusError 415 unless the body is declared to be JSON. Without a declaration it is. */
function requireJson(contentType = ''): void {
  const [type = '', ...parameters] = contentType.split(';').map((part) => part.trim());
  const areWhole = parameters.every((each) => each === '' || each.includes('='));
  if (!areWhole || (type !== '' && type !== 'application/json'))
    throw failed(
      415,
      'the body of the request was in an unknown format - accepted media types include: application/json',
    );
}

/** @throws StatusError 400 */
export function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (error) {
    throw failed(400, `the body is not JSON: ${error instanceof Error ? error.message : ''}`);
  }
}

/**
 * What `read` makes of the body.
 *
 * @throws StatusError 400, 415
 */
export function readJson<T>(body: string, contentType: string | undefined, read: (value: unknown) => T): T {
  requireJson(contentType);
  try {
    return read(parseJson(body));
  } catch (error) {
    throw error instanceof WrongTypeError ? failed(400, error.message) : error;
  }
}

/** @throws WrongTypeError */
export function readLease(value: unknown): ReadLease {
  const unknownFields: string[] = [];
  const fields = read(value, leaseShape, '', unknownFields) as Partial<LeaseObject>;
  const { kind = 'Lease', apiVersion = API_VERSION, metadata = {}, spec = {} }: Sent = fields;
  if (kind !== 'Lease' || apiVersion !== API_VERSION)
    throw new WrongTypeError(`it is a ${kind} of ${apiVersion}, not a Lease of ${API_VERSION}`);
  const { ownerReferences } = metadata;
  // As the API server does: an owner that comes twice is kept once.
  const owners = new Map(ownerReferences?.map((owner) => [JSON.stringify(owner), { ...NO_OWNER, ...owner }]));
  const owned =
    ownerReferences === undefined ? metadata : { ...metadata, ownerReferences: [...owners.values()] };
  return { lease: { kind, apiVersion, metadata: owned, spec }, unknownFields };
}

type Sent = Readonly<{ kind?: string; apiVersion?: string; metadata?: LeaseMetadata; spec?: LeaseSpec }>;

const NO_OWNER = { apiVersion: '', kind: '', name: '', uid: '' };

/** @throws WrongTypeError */
export function readDeleteOptions(value: unknown): DeleteOptions {
  return read(value ?? {}, deleteOptionsShape, '', []) as DeleteOptions;
}

/** The metadata without what is undefined, in the order in which the API server writes it. */
export function inServerOrder<
  T extends { readonly [K in keyof LeaseMetadata]: LeaseMetadata[K] | undefined },
>(metadata: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const fields = Object.keys(metadataShape).map((field) => [field, metadata[field as keyof T]] as const);
  return Object.fromEntries(fields.filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}

/** Whether it is an object of names and values. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What a value must be: of a kind, a list of something, or an object whose fields stand in the server's order. */
type Shape = Kind | readonly [Shape] | { readonly [field: string]: Shape };

type Kind = keyof typeof kinds;

/** How each kind is called, and how a value of it is read: undefined when it is of another kind. */
const kinds = {
  text: ['a string', (value: unknown) => (typeof value === 'string' ? value : undefined)],
  flag: ['true or false', (value: unknown) => (typeof value === 'boolean' ? value : undefined)],
  int32: ['an integer of 32 bits', (value: unknown) => integer(value, 2 ** 31)],
  int64: ['an integer of 64 bits', (value: unknown) => integer(value, 2 ** 63)],
  micros: ['a time such as 2026-01-31T12:00:00.000000Z', (value: unknown) => time(value, true)],
  seconds: ['a time such as 2026-01-31T12:00:00Z', (value: unknown) => time(value, false)],
  map: ['an object of strings', map],
  anything: ['anything', (value: unknown) => value],
} as const;

function texts<Name extends string>(...names: Name[]): Readonly<Record<Name, 'text'>> {
  return Object.fromEntries(names.map((name) => [name, 'text'])) as Record<Name, 'text'>;
}

const metadataShape = {
  ...texts('name', 'generateName', 'namespace', 'selfLink', 'uid', 'resourceVersion'),
  generation: 'int64',
  creationTimestamp: 'seconds',
  deletionTimestamp: 'seconds',
  deletionGracePeriodSeconds: 'int64',
  labels: 'map',
  annotations: 'map',
  ownerReferences: [
    { ...texts('apiVersion', 'kind', 'name', 'uid'), controller: 'flag', blockOwnerDeletion: 'flag' },
  ],
  finalizers: ['text'],
  managedFields: [
    {
      ...texts('manager', 'operation', 'apiVersion'),
      time: 'seconds',
      fieldsType: 'text',
      fieldsV1: 'anything',
      subresource: 'text',
    },
  ],
} as const;

const leaseShape = {
  ...texts('kind', 'apiVersion'),
  metadata: metadataShape,
  spec: {
    holderIdentity: 'text',
    leaseDurationSeconds: 'int32',
    acquireTime: 'micros',
    renewTime: 'micros',
    leaseTransitions: 'int32',
    ...texts('strategy', 'preferredHolder'),
  },
} as const;

const deleteOptionsShape = {
  ...texts('kind', 'apiVersion', 'propagationPolicy'),
  gracePeriodSeconds: 'int64',
  preconditions: texts('uid', 'resourceVersion'),
  orphanDependents: 'flag',
  dryRun: ['text'],
} as const;

/** Empty values say something here: a holder that released, managers to be cleared. Elsewhere they are dropped. */
const keptWhenEmpty = ['holderIdentity', 'strategy', 'preferredHolder', 'managedFields'];

/**
 * Reads one value, which is not null.
 *
 * @param at where it is: `spec.holderIdentity`.
 * @param unknown takes the fields that are not known.
 */
function read(value: unknown, shape: Shape, at: string, unknown: string[]): unknown {
  if (typeof shape === 'string') {
    const [wanted, readKind] = kinds[shape];
    return readKind(value) ?? refuse(at, wanted);
  }
  if (isList(shape)) {
    const [item] = shape;
    const empty = item === 'text' ? '' : {};
    if (!Array.isArray(value)) return refuse(at, 'a list');
    return value.map((each: unknown, index) => read(each ?? empty, item, `${at}[${String(index)}]`, unknown));
  }
  if (!isObject(value)) return refuse(at, 'an object');
  const fields = new Map<string, unknown>();
  for (const [name, each] of Object.entries(value)) {
    const path = at === '' ? name : `${at}.${name}`;
    const fieldShape = Object.hasOwn(shape, name) ? shape[name] : undefined;
    if (fieldShape === undefined) unknown.push(path);
    else if (each !== null) fields.set(name, read(each, fieldShape, path, unknown));
  }
  const names = Object.keys(shape).filter((name) => !isDropped(name, fields.get(name)));
  return Object.fromEntries(names.map((name) => [name, fields.get(name)]));
}

function refuse(at: string, wanted: string): never {
  throw new WrongTypeError(`${at === '' ? 'the body' : at} must be ${wanted}`);
}

function isList(shape: Exclude<Shape, string>): shape is readonly [Shape] {
  return Array.isArray(shape);
}

function isDropped(name: string, value: unknown): boolean {
  if (value === undefined || keptWhenEmpty.includes(name)) return value === undefined;
  return value === '' || (typeof value === 'object' && value !== null && Object.keys(value).length === 0);
}

function integer(value: unknown, limit: number): unknown {
  return Number.isInteger(value) && Number(value) >= -limit && Number(value) < limit ? value : undefined;
}

/** Names and texts, sorted by name. A null is an empty text. */
function map(value: unknown): unknown {
  if (!isObject(value)) return undefined;
  const entries = Object.entries(value).map(([name, text]) => [name, text ?? ''] as const);
  if (!entries.every(([, text]) => typeof text === 'string')) return undefined;
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

const TIME = /^(\d{4}-\d\d-\d\d)T(\d{1,2}:\d\d:\d\d)(?:[.,](\d+))?(Z|([+-])(\d\d):(\d\d))$/;

/** A time in UTC: with exactly six fractional digits, as a spec wants, or in whole seconds. */
function time(value: unknown, isMicros: boolean): string | undefined {
  const match = TIME.exec(typeof value === 'string' ? value : '');
  const [, date = '', clock = '', digits = '', , sign = '', hours = 0, minutes = 0] = match ?? [];
  const local = `${date}T${clock.padStart(8, '0')}`;
  const localMs = Date.parse(`${local}Z`);
  // Date.parse takes 30 February for 2 March, and 24:00 for the next day.
  const isReal = !Number.isNaN(localMs) && new Date(localMs).toISOString().startsWith(local);
  if (!isReal || (isMicros && digits.length !== 6) || Number(hours) > 24 || Number(minutes) > 60)
    return undefined;
  const offsetMs = (Number(hours) * 60 + Number(minutes)) * (sign === '-' ? -60_000 : 60_000);
  const utc = new Date(localMs - offsetMs).toISOString().slice(0, 19);
  return isMicros ? `${utc}.${digits}Z` : `${utc}Z`;
}
