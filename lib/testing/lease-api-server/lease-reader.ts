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
  readonly orphanDependents?: boolean;
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
  const read = leaseReader(value, '', unknownFields) as Readonly<{
    kind?: string;
    apiVersion?: string;
    metadata?: LeaseMetadata;
    spec?: LeaseSpec;
  }>;
  const { kind = 'Lease', apiVersion = API_VERSION, metadata = {}, spec = {} } = read;
  if (kind !== 'Lease' || apiVersion !== API_VERSION)
    throw new WrongTypeError(`it is a ${kind} of ${apiVersion}, not a Lease of ${API_VERSION}`);
  return { lease: { kind, apiVersion, metadata: withoutRepeatedOwners(metadata), spec }, unknownFields };
}

/** @throws WrongTypeError */
export function readDeleteOptions(value: unknown): DeleteOptions {
  return deleteOptionsReader(value, '', []) as DeleteOptions;
}

/** The metadata without what is undefined, in the order in which the API server writes it. */
export function inServerOrder<
  T extends { readonly [K in keyof LeaseMetadata]: LeaseMetadata[K] | undefined },
>(metadata: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const fields = Object.keys(metadataFields).map((field) => [field, metadata[field as keyof T]] as const);
  return Object.fromEntries(fields.filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}

/** Whether it is an object of names and values. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Reads one value, which is not null. Undefined for what the API server does not tell from nothing.
 *
 * @param at where it is: `spec.holderIdentity`.
 * @param unknown takes the fields that are not known.
 */
type Reader = (value: unknown, at: string, unknown: string[]) => unknown;

function refuse(at: string, wanted: string): never {
  throw new WrongTypeError(`${at === '' ? 'the body' : at} must be ${wanted}`);
}

/** A text that may be empty. */
const text: Reader = (value, at) => (typeof value === 'string' ? value : refuse(at, 'a string'));

/** A text that is absent when it is empty. */
const name: Reader = (value, at, unknown) => (value === '' ? undefined : text(value, at, unknown));

const flag: Reader = (value, at) => (typeof value === 'boolean' ? value : refuse(at, 'true or false'));

const anything: Reader = (value) => value;

function integer(bits: number): Reader {
  const limit = 2 ** (bits - 1);
  return (value, at) => {
    const fits = Number.isInteger(value) && Number(value) >= -limit && Number(value) < limit;
    return fits ? value : refuse(at, `an integer of ${String(bits)} bits`);
  };
}

const int32 = integer(32);
const int64 = integer(64);

/** A time with exactly six fractional digits, as in `spec`, or with whole seconds. Both are kept in UTC. */
function time(fraction: RegExp): Reader {
  return (value, at, unknown) => {
    const match = TIME.exec(text(value, at, unknown) as string);
    const [, date = '', clock = '', digits = '', zone = 'Z', sign = '', hours = 0, minutes = 0] = match ?? [];
    const local = `${date}T${clock.padStart(8, '0')}`;
    const millis = Date.parse(`${local}Z`);
    // Date.parse takes 30 February for 2 March, and 24:00 for the next day.
    const isReal = !Number.isNaN(millis) && new Date(millis).toISOString().startsWith(local);
    if (!isReal || !fraction.test(digits) || Number(hours) > 24 || Number(minutes) > 60)
      refuse(at, 'a time such as 2026-01-31T12:00:00.000000Z (spec) or 2026-01-31T12:00:00Z (metadata)');
    const offset =
      zone === 'Z' ? 0 : (Number(hours) * 60 + Number(minutes)) * (sign === '-' ? -60_000 : 60_000);
    const utc = new Date(millis - offset).toISOString().slice(0, 19);
    return fraction === MICROS ? `${utc}.${digits}Z` : `${utc}Z`;
  };
}

const TIME = /^(\d{4}-\d\d-\d\d)T(\d{1,2}:\d\d:\d\d)(?:[.,](\d+))?(Z|([+-])(\d\d):(\d\d))$/;
const MICROS = /^\d{6}$/;
const SECONDS = /^/;
const micros = time(MICROS);
const seconds = time(SECONDS);

/** @param empty stands for an item that is null. */
function list(item: Reader, empty: unknown): Reader {
  return (value, at, unknown) =>
    Array.isArray(value)
      ? value.map((each: unknown, index) => item(each ?? empty, `${at}[${String(index)}]`, unknown))
      : refuse(at, 'a list');
}

/** The same, absent when it is empty. */
function filled(reader: Reader): Reader {
  return (value, at, unknown) => {
    const read = reader(value, at, unknown) as object;
    return Object.keys(read).length === 0 ? undefined : read;
  };
}

/** Names and texts, sorted by name. A null is an empty text. */
const texts: Reader = (value, at, unknown) => {
  if (!isObject(value)) return refuse(at, 'an object of strings');
  const read = Object.entries(value).map(([key, each]) => [key, text(each ?? '', `${at}.${key}`, unknown)]);
  return Object.fromEntries(read.sort(([a = ''], [b = '']) => (String(a) < String(b) ? -1 : 1))) as object;
};

/** @param fields in the order in which the server writes them. */
function struct(fields: Readonly<Record<string, Reader>>, defaults: object = {}): Reader {
  return (value, at, unknown) => {
    if (!isObject(value)) return refuse(at, 'an object');
    const read: Record<string, unknown> = { ...defaults };
    for (const [key, each] of Object.entries(value)) {
      const path = at === '' ? key : `${at}.${key}`;
      const reader = Object.hasOwn(fields, key) ? fields[key] : undefined;
      if (reader === undefined) unknown.push(path);
      else if (each !== null) read[key] = reader(each, path, unknown);
    }
    const names = Object.keys(fields).filter((key) => read[key] !== undefined);
    return Object.fromEntries(names.map((key) => [key, read[key]]));
  };
}

const ownerReference = struct(
  { apiVersion: text, kind: text, name: text, uid: text, controller: flag, blockOwnerDeletion: flag },
  { apiVersion: '', kind: '', name: '', uid: '' },
);

const managedFieldsEntry = struct({
  manager: name,
  operation: name,
  apiVersion: name,
  time: seconds,
  fieldsType: name,
  fieldsV1: anything,
  subresource: name,
});

const metadataFields = {
  name,
  generateName: name,
  namespace: name,
  selfLink: name,
  uid: name,
  resourceVersion: name,
  generation: int64,
  creationTimestamp: seconds,
  deletionTimestamp: seconds,
  deletionGracePeriodSeconds: int64,
  labels: filled(texts),
  annotations: filled(texts),
  ownerReferences: filled(list(ownerReference, {})),
  finalizers: filled(list(text, '')),
  // An empty list asks to clear it.
  managedFields: list(managedFieldsEntry, {}),
};

const leaseReader = struct({
  kind: name,
  apiVersion: name,
  metadata: struct(metadataFields),
  spec: struct({
    holderIdentity: text,
    leaseDurationSeconds: int32,
    acquireTime: micros,
    renewTime: micros,
    leaseTransitions: int32,
    strategy: text,
    preferredHolder: text,
  }),
});

const deleteOptionsReader = struct({
  kind: name,
  apiVersion: name,
  gracePeriodSeconds: int64,
  preconditions: struct({ uid: text, resourceVersion: text }),
  orphanDependents: flag,
  propagationPolicy: name,
  dryRun: list(text, ''),
});

function withoutRepeatedOwners({ ownerReferences, ...metadata }: LeaseMetadata): LeaseMetadata {
  if (ownerReferences === undefined) return metadata;
  const byText = new Map(ownerReferences.map((owner) => [JSON.stringify(owner), owner]));
  return { ...metadata, ownerReferences: [...byText.values()] };
}
