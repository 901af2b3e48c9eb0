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
import { GROUP, RESOURCE, TYPE, conflict, failed, requireRules } from './status.js';
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
  // What is not a number counts as none here.
  if (Number(resourceVersion) > 0)
    throw failed(500, 'resourceVersion should not be set on objects to be created');
  const existing = store.get(call.namespace, name);
  if (existing !== undefined) {
    const state = existing.metadata.deletionTimestamp === undefined ? 'already exists' : 'is being deleted';
    throw failed(409, `leases.${GROUP} "${name}" ${state}`, { name, ...RESOURCE }, 'AlreadyExists');
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
  requireSameObject(sent, call.namespace, name);
  const existing = store.get(call.namespace, name);
  const { uid = '', resourceVersion = '' } = sent.metadata;
  if (uid !== '' && uid !== existing?.metadata.uid)
    throw conflict(name, `the uid ${uid} is of another Lease`);
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
  const { resourceVersion: replaces = '', uid = existing.metadata.uid } = sent.metadata;
  const { resourceVersion, managedFields: _composed, ...server } = existing.metadata;
  const hasVersion = parseVersion(replaces) !== 0;
  requireRules({ name: server.name, ...RESOURCE }, [
    [hasVersion, 'metadata.resourceVersion', 'Invalid', 'must be specified for an update'],
  ]);
  if (replaces !== resourceVersion) throw conflict(server.name);
  const next = compose({ ...server, uid }, sent, existing, call.manager);
  requireValid(next, existing);
  const unwritten = { ...next, metadata: inServerOrder({ ...next.metadata, resourceVersion }) };
  if (server.deletionTimestamp !== undefined && next.metadata.finalizers === undefined) {
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
  if (wanted !== uid) throw conflict(name, `its uid is ${uid}, not ${wanted}`, TYPE);
  if (wantedVersion !== resourceVersion)
    throw conflict(name, `its resourceVersion is ${resourceVersion}, not ${wantedVersion}`, TYPE);
  const dryRun = options.dryRun?.includes('All') === true;
  const finalizers = finalizersFor(existing.metadata, options.propagationPolicy);
  if (finalizers.length === 0) {
    if (!dryRun) store.delete(existing);
    return undefined;
  }
  const deletionTimestamp = existing.metadata.deletionTimestamp ?? now();
  const metadata = { ...existing.metadata, deletionTimestamp, deletionGracePeriodSeconds: 0, finalizers };
  const marked = { ...existing, metadata: inServerOrder(metadata) };
  return dryRun || isSame(marked, existing) ? marked : store.set(marked);
}

/** Foreground and orphan deletions are finalizers, which the garbage collector of a cluster would remove. */
function finalizersFor({ finalizers = [] }: LeaseMetadata, policy = ''): readonly string[] {
  if (policy === '') return finalizers;
  const others = finalizers.filter((name) => name !== 'foregroundDeletion' && name !== 'orphan');
  if (policy === 'Foreground') return [...others, 'foregroundDeletion'];
  return policy === 'Orphan' ? [...others, 'orphan'] : others;
}

function newLease(sent: LeaseObject, name: string, call: WriteCall): UnversionedLease {
  call.requireCreatable();
  const { namespace } = call;
  const server = { name, namespace, uid: randomUUID(), creationTimestamp: now() };
  const lease = compose(server, sent, undefined, call.manager);
  requireValid(lease, undefined);
  return lease;
}

/** What is the server's to set, with what was sent of what clients may set. */
function compose(
  server: UnversionedLease['metadata'],
  { metadata: sent, spec }: LeaseObject,
  previous: StoredLease | undefined,
  manager: string,
): UnversionedLease {
  const { generateName, labels, annotations, ownerReferences, finalizers } = sent;
  const set = { generateName, labels, annotations, ownerReferences, finalizers };
  const metadata = inServerOrder({ ...server, ...set }) as UnversionedLease['metadata'];
  const lease = { kind: 'Lease', apiVersion: API_VERSION, metadata, spec } as const;
  const managedFields = updateManagedFields(previous, lease, sent.managedFields, manager, now());
  return managedFields === undefined ? lease : { ...lease, metadata: { ...metadata, managedFields } };
}

function requireSameNamespace({ metadata }: LeaseObject, namespace: string): void {
  const { namespace: sent = namespace } = metadata;
  if (sent !== namespace)
    throw failed(400, `the namespace of the object (${sent}) does not match that of the URL (${namespace})`);
}

/** @throws StatusError 400 when the object is of another namespace or has another name than the URL */
export function requireSameObject(sent: LeaseObject, namespace: string, name: string): void {
  requireSameNamespace(sent, namespace);
  if (sent.metadata.name !== name)
    throw failed(
      400,
      `the name of the object (${String(sent.metadata.name)}) does not match the URL (${name})`,
    );
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
