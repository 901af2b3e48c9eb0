/** What stands between a request and the store: each check throws the StatusError it is named for. */
import type { DeleteOptions } from './body-decoding.js';
import { MAX_VALUES, toJson } from './json-text.js';
import type { LeaseObject, StoredLease } from './lease-object.js';
import {
  TYPE,
  alreadyExists,
  badRequest,
  conflict,
  entityTooLarge,
  invalid,
  unforeseen,
  type FieldError,
} from './status.js';
import { uintComplaint } from './numbers.js';

/** etcd's limit of one request. */
const MAX_STORED_BYTES = 1_572_864;

/** 413, 500 */
export function requireStorable(lease: LeaseObject): void {
  if (valuesIn(lease) > MAX_VALUES) throw entityTooLarge(`${String(MAX_VALUES)} values`);
  if (Buffer.byteLength(toJson(lease)) > MAX_STORED_BYTES)
    throw unforeseen('etcdserver: request is too large');
}

function valuesIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1;
  return Object.values(value).reduce<number>((sum, each) => sum + valuesIn(each), 1);
}

/** 400 */
export function requireSameNamespace(sent: LeaseObject, namespace: string): void {
  if ((sent.metadata.namespace ?? namespace) === namespace) return;
  throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
}

/** 400 */
export function requireName(sent: string, inPath: string): void {
  if (sent === '') {
    throw badRequest(
      `the name of the object (${inPath} based on URL) was undeterminable: name must be provided`,
    );
  }
  if (sent !== inPath) {
    throw badRequest(`the name of the object (${sent}) does not match the name on the URL (${inPath})`);
  }
}

/** 409; an empty uid is any. */
export function requireUid(
  uid: string,
  existing: StoredLease | undefined,
  namespace: string,
  name: string,
): void {
  const seen = existing?.metadata.uid ?? '';
  if (uid === '' || uid === seen) return;
  const key = `/registry/leases/${namespace}/${name}`;
  const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${seen}`;
  const detail = `StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: ${why}`;
  throw conflict(name, detail);
}

/** 409 */
export function requirePreconditions(
  existing: StoredLease,
  wanted: NonNullable<DeleteOptions['preconditions']>,
): void {
  const { name, uid, resourceVersion } = existing.metadata;
  if (wanted.uid !== undefined && wanted.uid !== uid) {
    const mismatch = `the UID in the precondition (${wanted.uid}) does not match the UID in record (${uid})`;
    throw conflict(name, `${mismatch}. The object might have been deleted and then recreated`, TYPE);
  }
  if (wanted.resourceVersion !== undefined && wanted.resourceVersion !== resourceVersion) {
    const asked = `the ResourceVersion in the precondition (${wanted.resourceVersion})`;
    const mismatch = `${asked} does not match the ResourceVersion in record (${resourceVersion})`;
    throw conflict(name, `${mismatch}. The object might have been modified`, TYPE);
  }
}

/** 422 */
export function requireValid(name: string, errors: readonly FieldError[]): void {
  if (errors.length > 0) throw invalid(TYPE, name, errors);
}

/** 409 */
export function existsAlready(existing: StoredLease): Error {
  const error = alreadyExists(existing.metadata.name);
  if (existing.metadata.deletionTimestamp === undefined) return error;
  return error.withMessage(`object is being deleted: ${error.message}`);
}

/** The version as a number; `''` is 0, which means none. 500 when it is no number. */
export function parseVersion(text: string): bigint {
  const complaint = uintComplaint(text === '' ? '0' : text);
  if (complaint !== undefined) throw unforeseen(complaint);
  return BigInt(text);
}
