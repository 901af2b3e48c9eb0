/**
 * Creates, updates and deletes Leases: the checks in their order, the fields that the server sets, and the writes that change
 * nothing. Each write is synchronous, so exactly one of several conditional writes succeeds.
 */
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { API_VERSION, type LeaseMetadata, type LeaseObject, type StoredLease } from './lease-object.js';
import type { DeleteOptions } from './lease-reader.js';
import { refuseInvalidLease } from './lease-rules.js';
import { parseVersion } from './lists.js';
import { GROUP, RESOURCE, TYPE, conflict, failed, refuseViolations } from './status.js';
import type { LeaseStore, UnversionedLease } from './store.js';

/** How a write is made. */
export interface WriteCall {
  readonly namespace: string;
  /** The name to record in managedFields. */
  readonly manager: string;
  /** Whether everything is checked and nothing is written. */
  readonly dryRun: boolean;
  /** @throws StatusError if the namespace does not exist, or the user may not create */
  readonly requireCreatable: () => void;
}

/** The length to which the API server cuts `generateName` before it appends five characters. */
const MAX_GENERATED_STEM = 58;

/** POST. */
export function createLease(store: LeaseStore, sent: LeaseObject, call: WriteCall): LeaseObject {
  requireSameNamespace(sent, call.namespace);
  const { name: given = '', generateName = '', resourceVersion = '' } = sent.metadata;
  const stem = generateName.slice(0, MAX_GENERATED_STEM);
  const name = given === '' && stem !== '' ? stem + randomUUID().slice(0, 5) : given;
  const lease = newLease(sent, name, call);
  // The API server ignores what is not a number here.
  if (Number(resourceVersion) > 0)
    throw failed(500, 'resourceVersion should not be set on objects to be created');
  const existing = store.get(call.namespace, name);
  if (existing !== undefined) {
    const state = existing.metadata.deletionTimestamp === undefined ? 'already exists' : 'is being deleted';
    throw failed(409, `leases.${GROUP} "${name}" ${state}`, { name, ...RESOURCE }, 'AlreadyExists');
  }
  return call.dryRun ? lease : store.set(lease);
}

/** PUT: replaces the Lease, or creates it if it does not exist. */
export function replaceLease(
  store: LeaseStore,
  name: string,
  sent: LeaseObject,
  call: WriteCall,
): { readonly lease: LeaseObject; readonly isNew: boolean } {
  requireSameObject(sent, call.namespace, name);
  const existing = store.get(call.namespace, name);
  const { uid = '', resourceVersion } = sent.metadata;
  if (uid !== '' && uid !== existing?.metadata.uid)
    throw conflict(name, `the uid of this Lease is not ${uid}`);
  if (existing !== undefined) return { lease: updateLease(store, existing, sent, call), isNew: false };
  parseVersion(resourceVersion);
  const lease = newLease(sent, name, call);
  return { lease: call.dryRun ? lease : store.set(lease), isNew: true };
}

/** Writes a new state over a Lease, if it names the version that it replaces. */
export function updateLease(
  store: LeaseStore,
  existing: StoredLease,
  sent: LeaseObject,
  call: WriteCall,
): LeaseObject {
  const { name, uid, resourceVersion, deletionTimestamp } = existing.metadata;
  const { resourceVersion: replaced, uid: sentUid = '' } = sent.metadata;
  if (parseVersion(replaced) === 0) {
    const violation = ['metadata.resourceVersion', 'Invalid', 'must be specified for an update'] as const;
    refuseViolations({ name, ...RESOURCE }, [violation]);
  }
  if (replaced !== resourceVersion) throw conflict(name);
  if (sentUid !== '' && sentUid !== uid)
    refuseViolations({ name, ...TYPE }, [['metadata.uid', 'Invalid', 'field is immutable']]);
  const next = compose(pick(existing.metadata, serverFields), sent, call.manager);
  refuseInvalidLease(next, false);
  const unwritten = { ...next, metadata: { ...next.metadata, resourceVersion } };
  if (deletionTimestamp !== undefined && next.metadata.finalizers === undefined) {
    if (!call.dryRun) store.delete(existing);
    return unwritten;
  }
  if (isSame(next, existing)) return existing;
  return call.dryRun ? unwritten : store.set(next);
}

/** DELETE. Returns the Lease while finalizers keep it, or undefined when it is gone. */
export function deleteLease(
  store: LeaseStore,
  existing: StoredLease,
  { preconditions = {}, dryRun = [] }: DeleteOptions,
): LeaseObject | undefined {
  const { name, uid, resourceVersion, finalizers, deletionTimestamp = now() } = existing.metadata;
  const { uid: wantedUid = uid, resourceVersion: wantedVersion = resourceVersion } = preconditions;
  if (wantedUid !== uid) throw conflict(name, `its uid is ${uid}, not ${wantedUid}`, TYPE);
  if (wantedVersion !== resourceVersion)
    throw conflict(name, `its resourceVersion is ${resourceVersion}, not ${wantedVersion}`, TYPE);
  if (finalizers === undefined) {
    if (!dryRun.includes('All')) store.delete(existing);
    return undefined;
  }
  const metadata = { ...existing.metadata, deletionTimestamp, deletionGracePeriodSeconds: 0 };
  const marked = { ...existing, metadata };
  return dryRun.includes('All') || isSame(marked, existing) ? marked : store.set(marked);
}

/** @throws StatusError 400 if the object has another namespace or name than the URL */
export function requireSameObject(sent: LeaseObject, namespace: string, name: string): void {
  requireSameNamespace(sent, namespace);
  if (sent.metadata.name !== name)
    throw failed(400, `the object is named ${String(sent.metadata.name)}, but the URL names ${name}`);
}

function requireSameNamespace({ metadata }: LeaseObject, namespace: string): void {
  const { namespace: sent = namespace } = metadata;
  if (sent !== namespace)
    throw failed(400, `the namespace of the object is ${sent}, but that of the URL is ${namespace}`);
}

function newLease(sent: LeaseObject, name: string, call: WriteCall): UnversionedLease {
  call.requireCreatable();
  const server = { name, namespace: call.namespace, uid: randomUUID(), creationTimestamp: now() };
  const lease = compose(server, sent, call.manager);
  refuseInvalidLease(lease, true);
  return lease;
}

const serverFields = [
  'name',
  'namespace',
  'uid',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
] as const;
const clientFields = ['generateName', 'labels', 'annotations', 'ownerReferences', 'finalizers'] as const;

/** These fields of the metadata, without those that are absent or empty. */
function pick(metadata: LeaseMetadata, fields: readonly (keyof LeaseMetadata)[]): LeaseMetadata {
  const isKept = (value: unknown): boolean =>
    typeof value === 'number' || Object.keys(value ?? {}).length > 0;
  return Object.fromEntries(
    fields.map((field) => [field, metadata[field]] as const).filter(([, value]) => isKept(value)),
  );
}

/**
 * A Lease of the fields that the server sets, the fields that clients may set, and managedFields. These name only the latest
 * writer and the time of its write. Which manager owns which field is not recorded.
 */
function compose(server: LeaseMetadata, { metadata, spec }: LeaseObject, manager: string): UnversionedLease {
  const writer = { manager, operation: 'Update', apiVersion: API_VERSION, time: now() };
  const managedFields = [{ ...writer, fieldsType: 'FieldsV1', fieldsV1: {} }];
  const all = { ...server, ...pick(metadata, clientFields), managedFields };
  return { kind: 'Lease', apiVersion: API_VERSION, metadata: all as UnversionedLease['metadata'], spec };
}

/** Whether two states are equal, apart from their version and their latest writer. */
function isSame(a: UnversionedLease, b: UnversionedLease): boolean {
  return isDeepStrictEqual(comparable(a), comparable(b));
}

function comparable({ metadata, spec }: UnversionedLease): unknown {
  const { resourceVersion: _version, managedFields: _writer, ...rest }: LeaseMetadata = metadata;
  return [rest, spec];
}

function now(): string {
  return `${new Date().toISOString().slice(0, 19)}Z`;
}
