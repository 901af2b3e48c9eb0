import {
  fieldsOf,
  isReadable,
  type HolderNote,
  type LeaseRecord,
  type LeaseSnapshot,
  type MicroTime,
} from '../election/internal.js';
import { apiObject, countAt, textAt, type ApiObject, type Fields } from './api-object.js';

/** The name and namespace of a Lease, and the labels and owner to give it. */
export interface LeaseAddress {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** The Lease is deleted with its owner. Default: none. */
  readonly owner?: LeaseOwner | undefined;
}

/** An object in the Lease's namespace, or a cluster-scoped one, as in `metadata.ownerReferences`. */
export interface LeaseOwner {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

/** A reference to a Lease. */
export interface LeaseReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace: string;
  /** Undefined before the Lease was seen. */
  readonly uid: string | undefined;
}

/** The annotation by which a process asks the holder for the lease. */
const WANTED_BY = 'nestjs-leader/wanted-by';
/**
 * The annotation in which the holder writes about its process. It begins with the `renewTime` and the holder of its record: a
 * client that does not know the annotation keeps it when it renews or takes over, and must not be taken for this process.
 */
const PROCESS = 'nestjs-leader/process';
/** The annotation in which the holder writes what else it tells about itself, as JSON, after the same beginning. */
const HOLDER = 'nestjs-leader/holder';

/** The snapshot of a Lease. @throws UnusableObject for a spec that no API server returns. */
export function leaseIn(object: ApiObject): LeaseSnapshot {
  const { resourceVersion, uid, annotations = {} } = object.metadata;
  const wantedBy = textAt(annotations, WANTED_BY, 'metadata.annotations.');
  const spec = recordOf(object.spec ?? {});
  const process = stampedIn(annotations, PROCESS, spec);
  const note = noteIn(stampedIn(annotations, HOLDER, spec));
  const record = {
    ...spec,
    ...(wantedBy !== undefined && { wantedBy }),
    ...(process !== undefined && { process }),
    ...(note !== undefined && { note }),
  };
  return { record, resourceVersion, uid, carried: object };
}

/** What the writer of a record wrote into an annotation about itself. */
function stampedIn(annotations: Fields, name: string, record: LeaseRecord): string | undefined {
  const text = annotations[name];
  const beginning = beginningOf(record);
  return typeof text === 'string' && beginning !== undefined && text.startsWith(beginning)
    ? text.slice(beginning.length)
    : undefined;
}

/** Undefined for anything that this package does not write. */
function noteIn(text: string | undefined): HolderNote | undefined {
  const fields = text === undefined ? undefined : fieldsIn(text);
  if (fields === undefined) return undefined;
  const { address, priority } = fields;
  return {
    ...(typeof address === 'string' && isReadable(address) && { address }),
    ...(typeof priority === 'number' && Number.isFinite(priority) && { priority }),
  };
}

function fieldsIn(json: string): Fields | undefined {
  try {
    return fieldsOf(JSON.parse(json));
  } catch {
    return undefined;
  }
}

function beginningOf({ renewTime, holderIdentity }: LeaseRecord): string | undefined {
  return renewTime === undefined || holderIdentity === '' ? undefined : `${renewTime} ${holderIdentity} `;
}

/** The annotations of a record, besides those of others. */
function annotationsOf({ wantedBy, process, note, ...record }: LeaseRecord): Record<string, string> {
  const beginning = beginningOf(record);
  return {
    ...(wantedBy !== undefined && { [WANTED_BY]: wantedBy }),
    ...(process !== undefined && beginning !== undefined && { [PROCESS]: beginning + process }),
    ...(note !== undefined && beginning !== undefined && { [HOLDER]: beginning + JSON.stringify(note) }),
  };
}

function recordOf(spec: Fields): LeaseRecord {
  const textIn = (field: string): string | undefined => textAt(spec, field, 'spec.');
  const countIn = (field: string): number | undefined => countAt(spec, field, 'spec.');
  return {
    holderIdentity: textIn('holderIdentity') ?? '',
    leaseDurationSeconds: countIn('leaseDurationSeconds'),
    acquireTime: textIn('acquireTime') as MicroTime | undefined,
    renewTime: textIn('renewTime') as MicroTime | undefined,
    leaseTransitions: countIn('leaseTransitions'),
  };
}

/**
 * For how many milliseconds, at least, a Lease has been as it is, by the clocks of the API servers alone: from the newest time
 * in its `managedFields`, which the server that stored it set, to the `Date` of the answer. Both are cut to seconds. Undefined
 * if either is missing.
 *
 * @param marginMs by how much the clocks of the servers may differ.
 */
export function ageOf(lease: unknown, date: unknown, marginMs: number): number | undefined {
  const { managedFields } = (lease as { readonly metadata: { readonly managedFields?: unknown } }).metadata;
  const times = (Array.isArray(managedFields) ? managedFields : []).map((entry: { time?: unknown } | null) =>
    instantOf(entry?.time),
  );
  // Not as arguments of Math.max(): a list may be longer than those can be.
  const newest = times.reduce((newer, time) => Math.max(newer, time), -Infinity);
  const age = instantOf(date) - newest - 1_000 - marginMs;
  return times.length > 0 && age > 0 ? age : undefined;
}

/** Milliseconds since 1970; NaN if that is no time. */
function instantOf(time: unknown): number {
  return typeof time === 'string' ? Date.parse(time) : Number.NaN;
}

/** Whether the Lease has a `holderIdentity`, even if it is empty. */
export function namesHolder({ carried }: LeaseSnapshot): boolean {
  return typeof (carried as ApiObject).spec?.['holderIdentity'] === 'string';
}

/** The Lease to create. It has neither uid nor resourceVersion, so that a PUT creates it only if it does not exist. */
export function newLease(
  record: LeaseRecord,
  { name, namespace, labels, owner }: LeaseAddress,
  annotations: Readonly<Record<string, string>> = {},
): object {
  const all = { ...annotations, ...annotationsOf(record) };
  const annotated = Object.keys(all).length > 0 ? { annotations: all } : {};
  const labelled = Object.keys(labels).length > 0 ? { labels } : {};
  const spec = specOf(record);
  const owned = owner === undefined ? {} : { ownerReferences: [owner] };
  return { ...LEASE_KIND, metadata: { name, namespace, ...labelled, ...annotated, ...owned }, spec };
}

/**
 * The Lease that replaces `base`. It has the uid and resourceVersion of `base`, without which a PUT might re-create a
 * deleted Lease, and keeps all fields that others wrote.
 *
 * @throws UnusableObject if `base` was not read from this Lease.
 */
export function changedLease(
  base: LeaseSnapshot,
  record: LeaseRecord,
  { name, namespace, labels }: LeaseAddress,
): object {
  const { metadata, spec } = apiObject(base.carried, { kind: LEASE_KIND.kind, name, namespace });
  const { annotations = {}, ...kept } = metadata;
  const written = specOf(record);
  const { [WANTED_BY]: _, [PROCESS]: __, [HOLDER]: ___, ...others } = annotations;
  const annotated = { ...others, ...annotationsOf(record) };
  const labelled = { ...metadata.labels, ...labels };
  return {
    ...LEASE_KIND,
    metadata: {
      ...kept,
      ...(Object.keys(labelled).length > 0 && { labels: labelled }),
      ...(Object.keys(annotated).length > 0 && { annotations: annotated }),
      uid: base.uid,
      resourceVersion: base.resourceVersion,
    },
    spec: { ...spec, ...written },
  };
}

/** The fields of a record that are in the spec. */
function specOf({ wantedBy: _, process: __, note: ___, ...spec }: LeaseRecord): LeaseRecord {
  return spec;
}

/** The apiVersion and kind of every Lease. */
export const LEASE_KIND = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' };
