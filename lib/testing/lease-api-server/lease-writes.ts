/**
 * Creating, updating and deleting: what is checked in which order, what the server sets itself, when nothing is
 * written at all. Each is one step, so that of several conditional writes one succeeds.
 */
import { randomInt, randomUUID } from 'node:crypto';
import type { DeleteOptions } from './body-decoding.js';
import { API_VERSION, type LeaseMetadata, type LeaseObject, type StoredLease } from './lease-object.js';
import type { LeaseStore, UnversionedLease } from './lease-store.js';
import { validateNew, validateUpdate } from './lease-validation.js';
import { updateManagedFields } from './managed-fields.js';
import { RESOURCE, conflict, invalid, invalidValue, unforeseen } from './status.js';
import { wireSeconds } from './wire-time.js';
import {
  existsAlready,
  parseVersion,
  requireName,
  requirePreconditions,
  requireSameNamespace,
  requireStorable,
  requireUid,
  requireValid,
} from './write-checks.js';

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
  requireStorable(lease);
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

/** PATCH: writes what a patch made of an existing Lease. */
export function storePatched(
  store: LeaseStore,
  existing: StoredLease,
  patched: LeaseObject,
  call: WriteCall,
): LeaseObject {
  requireSameNamespace(patched, call.namespace);
  requireName(patched.metadata.name ?? '', existing.metadata.name);
  return updateLease(store, existing, patched, call);
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
  requireStorable(next);
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
  requireStorable(lease);
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
