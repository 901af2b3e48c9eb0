/**
 * Creating, updating and deleting: what is checked in which order, what the server sets itself, when nothing is
 * written at all. Each is one step, so that of several conditional writes one succeeds.
 */
import { randomInt, randomUUID } from 'node:crypto';
import type { DeleteOptions } from './body-decoding.js';
import { goQuote } from './go-quote.js';
import { API_VERSION, type LeaseMetadata, type LeaseObject, type StoredLease } from './lease-object.js';
import type { LeaseStore, UnversionedLease } from './lease-store.js';
import { validateNew, validateUpdate } from './lease-validation.js';
import { updateManagedFields } from './managed-fields.js';
import {
  TYPE,
  alreadyExists,
  badRequest,
  conflict,
  invalid,
  invalidValue,
  RESOURCE,
  unforeseen,
} from './status.js';
import { wireSeconds } from './wire-time.js';

/** How a write is to be made. */
export interface WriteCall {
  readonly namespace: string;
  /** `fieldManager`, or the first word of the user agent. */
  readonly manager: string;
  /** Everything but the writing itself. */
  readonly dryRun: boolean;
  /** @throws StatusError when the namespace does not exist. */
  readonly requireNamespace: () => void;
  /** @throws StatusError when the user may not create what an update would create. */
  readonly requireCreate: () => void;
}

/** What an update came to. */
export interface UpdateOutcome {
  readonly lease: LeaseObject;
  readonly created: boolean;
}

const MODIFIED =
  'the object has been modified; please apply your changes to the latest version and try again';

/** Longest stem of a generated name: five characters follow, 63 in all. */
const MAX_GENERATED_STEM = 58;
const GENERATED_CHARACTERS = 'bcdfghjklmnpqrstvwxz2456789';

/** POST. */
export function createLease(store: LeaseStore, sent: LeaseObject, call: WriteCall): LeaseObject {
  requireSameNamespace(sent, call.namespace);
  call.requireNamespace();
  const { generateName = '' } = sent.metadata;
  const name = sent.metadata.name ?? (generateName === '' ? '' : generatedName(generateName));
  const lease = newLease({ ...sent, metadata: { ...sent.metadata, name } }, call);
  requireValid(name, validateNew(lease));
  const { resourceVersion = '' } = sent.metadata;
  if (/^\d+$/.test(resourceVersion) && Number(resourceVersion) !== 0) {
    throw unforeseen('resourceVersion should not be set on objects to be created');
  }
  const existing = store.get(call.namespace, name);
  if (existing !== undefined) throw existsAlready(existing);
  return call.dryRun ? lease : store.set(lease);
}

/** PUT: replaces the Lease, or makes it when there is none. */
export function replaceLease(
  store: LeaseStore,
  name: string,
  sent: LeaseObject,
  call: WriteCall,
): UpdateOutcome {
  requireSameNamespace(sent, call.namespace);
  requireName(sent.metadata.name ?? '', name);
  const existing = store.get(call.namespace, name);
  requireUid(sent.metadata.uid ?? '', existing, call.namespace, name);
  if (existing === undefined) return { lease: createByUpdate(store, sent, call), created: true };
  return { lease: updateLease(store, existing, sent, call), created: false };
}

/** Writes a new state over an existing Lease, if it says which state it replaces. */
export function updateLease(
  store: LeaseStore,
  existing: StoredLease,
  sent: LeaseObject,
  call: WriteCall,
): LeaseObject {
  const { name, resourceVersion: current } = existing.metadata;
  const asked = parseVersion(sent.metadata.resourceVersion ?? '');
  if (asked === 0n) {
    const error = invalidValue('metadata.resourceVersion', '0', 'must be specified for an update');
    throw invalid(RESOURCE, name, [error]);
  }
  if (String(asked) !== current) throw conflict(name, MODIFIED);
  const next = updatedLease(existing, sent, call.manager);
  requireValid(name, validateUpdate(next, existing));
  const isGone = existing.metadata.deletionTimestamp !== undefined && next.metadata.finalizers === undefined;
  if (isGone) {
    if (!call.dryRun) store.delete(existing);
    return { ...next, metadata: { ...next.metadata, resourceVersion: current } };
  }
  if (isSame(next, existing)) return existing;
  return call.dryRun
    ? { ...next, metadata: { ...next.metadata, resourceVersion: current } }
    : store.set(next);
}

/** DELETE. What remains, when finalizers keep it; undefined when it is gone. */
export function deleteLease(
  store: LeaseStore,
  existing: StoredLease,
  options: DeleteOptions,
  dryRun: boolean,
): LeaseObject | undefined {
  requirePreconditions(existing, options.preconditions ?? {});
  const finalizers = finalizersFor(existing.metadata, options);
  if (finalizers.length === 0) {
    if (!dryRun) store.delete(existing);
    return undefined;
  }
  const deletionTimestamp = existing.metadata.deletionTimestamp ?? wireSeconds(new Date());
  const metadata = { ...existing.metadata, deletionTimestamp, deletionGracePeriodSeconds: 0, finalizers };
  const marked = { ...existing, metadata };
  return dryRun || isSame(marked, existing) ? marked : store.set(marked);
}

function createByUpdate(store: LeaseStore, sent: LeaseObject, call: WriteCall): LeaseObject {
  call.requireNamespace();
  parseVersion(sent.metadata.resourceVersion ?? '');
  const lease = newLease(sent, call);
  requireValid(lease.metadata.name, validateNew(lease));
  call.requireCreate();
  return call.dryRun ? lease : store.set(lease);
}

function newLease(sent: LeaseObject, call: WriteCall): UnversionedLease {
  const creationTimestamp = wireSeconds(new Date());
  const { name = '', generateName, labels, annotations, ownerReferences, finalizers } = sent.metadata;
  const metadata = present({
    name,
    generateName,
    namespace: call.namespace,
    uid: randomUUID(),
    creationTimestamp,
    labels,
    annotations,
    ownerReferences,
    finalizers,
  });
  const lease = { kind: 'Lease', apiVersion: API_VERSION, metadata, spec: sent.spec } as const;
  const managedFields = updateManagedFields(undefined, lease, undefined, call.manager, creationTimestamp);
  return { ...lease, metadata: present({ ...metadata, managedFields }) };
}

/** The body replaces what clients may change; the rest is the server's. */
function updatedLease(existing: StoredLease, sent: LeaseObject, manager: string): UnversionedLease {
  const { name, generateName, labels, annotations, ownerReferences, finalizers, uid } = sent.metadata;
  const { metadata: kept } = existing;
  const metadata = present({
    name: name ?? kept.name,
    generateName,
    namespace: kept.namespace,
    uid: uid ?? kept.uid,
    creationTimestamp: kept.creationTimestamp,
    deletionTimestamp: kept.deletionTimestamp,
    deletionGracePeriodSeconds: kept.deletionGracePeriodSeconds,
    labels,
    annotations,
    ownerReferences,
    finalizers,
  });
  const lease = { kind: 'Lease', apiVersion: API_VERSION, metadata, spec: sent.spec } as const;
  const sentFields = sent.metadata.managedFields;
  const managedFields = updateManagedFields(existing, lease, sentFields, manager, wireSeconds(new Date()));
  return { ...lease, metadata: present({ ...metadata, managedFields }) };
}

/** Without the names whose value is undefined. */
function present<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}

/** Whether writing would change nothing; when the managers wrote does not count. */
function isSame(a: UnversionedLease, b: UnversionedLease): boolean {
  return comparable(a) === comparable(b);
}

function comparable(lease: UnversionedLease): string {
  const metadata: LeaseMetadata = lease.metadata;
  const { resourceVersion: _version, managedFields = [], ...rest } = metadata;
  const managers = managedFields.map(({ time: _time, ...entry }) => entry);
  return JSON.stringify([Object.entries({ ...rest }).sort(), managers, Object.entries(lease.spec).sort()]);
}

function requireSameNamespace(sent: LeaseObject, namespace: string): void {
  if ((sent.metadata.namespace ?? namespace) === namespace) return;
  throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
}

function requireName(sent: string, inPath: string): void {
  if (sent === '') {
    throw badRequest(
      `the name of the object (${inPath} based on URL) was undeterminable: name must be provided`,
    );
  }
  if (sent !== inPath) {
    throw badRequest(`the name of the object (${sent}) does not match the name on the URL (${inPath})`);
  }
}

function requireUid(uid: string, existing: StoredLease | undefined, namespace: string, name: string): void {
  const seen = existing?.metadata.uid ?? '';
  if (uid === '' || uid === seen) return;
  const key = `/registry/leases/${namespace}/${name}`;
  const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${seen}`;
  const detail = `StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: ${why}`;
  throw conflict(name, detail);
}

function requirePreconditions(
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

function requireValid(name: string, errors: ReturnType<typeof validateNew>): void {
  if (errors.length > 0) throw invalid(TYPE, name, errors);
}

function existsAlready(existing: StoredLease): Error {
  const error = alreadyExists(existing.metadata.name);
  if (existing.metadata.deletionTimestamp === undefined) return error;
  return error.withMessage(`object is being deleted: ${error.message}`);
}

/** `''` is version 0, which means none. */
function parseVersion(text: string): bigint {
  if (!/^\d*$/.test(text)) throw unforeseen(`strconv.ParseUint: parsing ${goQuote(text)}: invalid syntax`);
  return BigInt(text === '' ? 0 : text);
}

function finalizersFor(
  metadata: LeaseMetadata,
  { propagationPolicy, orphanDependents }: DeleteOptions,
): string[] {
  const finalizers = (metadata.finalizers ?? []).filter(
    (name) => name !== 'foregroundDeletion' && name !== 'orphan',
  );
  const isSaid = propagationPolicy !== undefined || orphanDependents !== undefined;
  if (!isSaid) return [...(metadata.finalizers ?? [])];
  if (propagationPolicy === 'Foreground') return [...finalizers, 'foregroundDeletion'];
  if (propagationPolicy === 'Orphan' || orphanDependents === true) return [...finalizers, 'orphan'];
  return finalizers;
}

function generatedName(stem: string): string {
  const characters = Array.from({ length: 5 }, () =>
    GENERATED_CHARACTERS.charAt(randomInt(GENERATED_CHARACTERS.length)),
  );
  return stem.slice(0, MAX_GENERATED_STEM) + characters.join('');
}
