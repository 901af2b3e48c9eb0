/**
 * Creating, updating and deleting: what is checked in which order, what the server sets, and when nothing is written. Each write
 * is one step, so one of several conditional writes succeeds.
 */
import { randomInt, randomUUID } from 'node:crypto';
import { API_VERSION, type LeaseMetadata, type LeaseObject, type StoredLease } from './lease-object.js';
import { inServerOrder, type DeleteOptions } from './lease-reader.js';
import { requireValid } from './lease-rules.js';
import { parseVersion } from './lists.js';
import { updateManagedFields } from './managed-fields.js';
import { RESOURCE, TYPE, conflict, failed, invalid } from './status.js';
import type { LeaseStore, UnversionedLease } from './store.js';

/** How a write is made. */
export interface WriteCall {
  readonly namespace: string;
  /** Who is recorded in managedFields. */
  readonly manager: string;
  /** Everything but the writing itself. */
  readonly dryRun: boolean;
  /** @throws StatusError when the namespace does not exist, or the user may not create. */
  readonly requireCreatable: () => void;
}

/** Longest stem of a generated name: five characters follow, 63 in all. */
const MAX_GENERATED_STEM = 58;
const GENERATED_CHARACTERS = 'bcdfghjklmnpqrstvwxz2456789';

/** POST. */
export function createLease(store: LeaseStore, sent: LeaseObject, call: WriteCall): LeaseObject {
  requireSameNamespace(sent, call.namespace);
  const { generateName = '', resourceVersion = '' } = sent.metadata;
  const { name = generateName === '' ? '' : generatedName(generateName) } = sent.metadata;
  const lease = newLease(sent, name, call);
  if (parseVersion(resourceVersion) !== 0)
    throw failed(500, 'resourceVersion should not be set on objects to be created');
  const existing = store.get(call.namespace, name);
  if (existing !== undefined) {
    const isGoing = existing.metadata.deletionTimestamp !== undefined;
    const message = `Lease "${name}" ${isGoing ? 'is being deleted' : 'already exists'}`;
    throw failed(409, message, { name, ...RESOURCE }, 'AlreadyExists');
  }
  return call.dryRun ? lease : store.set(lease);
}

/** PUT: replaces the Lease, or makes it when there is none. */
export function replaceLease(
  store: LeaseStore,
  name: string,
  sent: LeaseObject,
  call: WriteCall,
): { readonly lease: LeaseObject; readonly isNew: boolean } {
  const existing = store.get(call.namespace, name);
  requireSameNamespace(sent, call.namespace);
  requireSameName(sent, name);
  const { uid = '', resourceVersion = '' } = sent.metadata;
  const present = existing?.metadata.uid ?? '';
  if (uid !== '' && uid !== present)
    throw conflict(name, `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${present}`);
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
  requireSameNamespace(sent, call.namespace);
  requireSameName(sent, existing.metadata.name);
  const { name, resourceVersion } = existing.metadata;
  const replaces = sent.metadata.resourceVersion ?? '';
  if (parseVersion(replaces) === 0) {
    const field = 'metadata.resourceVersion';
    const message = 'Invalid value: 0: must be specified for an update';
    throw invalid({ name, ...RESOURCE }, [{ reason: 'FieldValueInvalid', message, field }]);
  }
  if (replaces !== resourceVersion) throw conflict(name);
  const { namespace, creationTimestamp, deletionTimestamp, deletionGracePeriodSeconds } = existing.metadata;
  const { uid = existing.metadata.uid } = sent.metadata;
  const kept = { name, namespace, uid, creationTimestamp, deletionTimestamp, deletionGracePeriodSeconds };
  const next = compose(kept, sent, existing, call.manager);
  requireValid(next, existing);
  const unwritten = { ...next, metadata: inServerOrder({ ...next.metadata, resourceVersion }) };
  if (deletionTimestamp !== undefined && next.metadata.finalizers === undefined) {
    if (!call.dryRun) store.delete(existing);
    return unwritten;
  }
  if (isSame(next, existing)) return existing;
  return call.dryRun ? unwritten : store.set(next);
}

/** DELETE. Gives what remains while finalizers keep it; undefined when the Lease is gone. */
export function deleteLease(
  store: LeaseStore,
  existing: StoredLease,
  options: DeleteOptions,
): LeaseObject | undefined {
  const { name, uid, resourceVersion } = existing.metadata;
  const { uid: wanted = uid, resourceVersion: wantedVersion = resourceVersion } = options.preconditions ?? {};
  if (wanted !== uid) throw conflict(name, `the UID in the precondition (${wanted}) is not ${uid}`, TYPE);
  if (wantedVersion !== resourceVersion)
    throw conflict(
      name,
      `the ResourceVersion in the precondition (${wantedVersion}) is not ${resourceVersion}`,
      TYPE,
    );
  const dryRun = options.dryRun?.includes('All') === true;
  const finalizers = finalizersFor(existing.metadata, options);
  if (finalizers.length === 0) {
    if (!dryRun) store.delete(existing);
    return undefined;
  }
  const deletionTimestamp = existing.metadata.deletionTimestamp ?? now();
  const metadata = { ...existing.metadata, deletionTimestamp, deletionGracePeriodSeconds: 0, finalizers };
  const marked = { ...existing, metadata: inServerOrder(metadata) };
  return dryRun || isSame(marked, existing) ? marked : store.set(marked);
}

/** Foreground and orphan deletions are finalizers that the garbage collector of a cluster would remove. */
function finalizersFor({ finalizers = [] }: LeaseMetadata, options: DeleteOptions): readonly string[] {
  const { propagationPolicy, orphanDependents } = options;
  if (propagationPolicy === undefined && orphanDependents === undefined) return finalizers;
  const others = finalizers.filter((name) => name !== 'foregroundDeletion' && name !== 'orphan');
  if (propagationPolicy === 'Foreground') return [...others, 'foregroundDeletion'];
  return propagationPolicy === 'Orphan' || orphanDependents === true ? [...others, 'orphan'] : others;
}

function newLease(sent: LeaseObject, name: string, call: WriteCall): UnversionedLease {
  call.requireCreatable();
  const { namespace } = call;
  const server = { name, namespace, uid: randomUUID(), creationTimestamp: now() };
  const lease = compose(server, sent, undefined, call.manager);
  requireValid(lease, undefined);
  return lease;
}

type ServerFields = 'name' | 'namespace' | 'uid' | 'creationTimestamp';

/** What clients may set, from what was sent, together with what is the server's to set. */
function compose(
  server: Required<Pick<LeaseMetadata, ServerFields>> & { readonly deletionTimestamp?: string | undefined },
  { metadata: sent, spec }: LeaseObject,
  previous: StoredLease | undefined,
  manager: string,
): UnversionedLease {
  const { generateName, labels, annotations, ownerReferences, finalizers } = sent;
  const metadata = inServerOrder({
    ...server,
    generateName,
    labels,
    annotations,
    ownerReferences,
    finalizers,
  });
  const lease = { kind: 'Lease', apiVersion: API_VERSION, metadata, spec } as UnversionedLease;
  const managedFields = updateManagedFields(previous, lease, sent.managedFields, manager, now());
  return managedFields === undefined ? lease : { ...lease, metadata: { ...lease.metadata, managedFields } };
}

function requireSameNamespace({ metadata }: LeaseObject, namespace: string): void {
  if ((metadata.namespace ?? namespace) === namespace) return;
  throw failed(400, 'the namespace of the provided object does not match the namespace sent on the request');
}

function requireSameName({ metadata: { name = '' } }: LeaseObject, inPath: string): void {
  if (name !== inPath)
    throw failed(400, `the name of the object (${name}) does not match the name on the URL (${inPath})`);
}

/** Whether writing would change nothing. When the managers wrote does not count. */
function isSame(a: UnversionedLease, b: UnversionedLease): boolean {
  return comparable(a) === comparable(b);
}

function comparable({ metadata, spec }: UnversionedLease): string {
  const { resourceVersion: _version, managedFields = [], ...rest }: LeaseMetadata = metadata;
  return JSON.stringify([rest, spec, managedFields.map(({ time: _time, ...entry }) => entry)]);
}

function now(): string {
  return `${new Date().toISOString().slice(0, 19)}Z`;
}

function generatedName(stem: string): string {
  const characters = Array.from({ length: 5 }, () =>
    GENERATED_CHARACTERS.charAt(randomInt(GENERATED_CHARACTERS.length)),
  );
  return stem.slice(0, MAX_GENERATED_STEM) + characters.join('');
}
