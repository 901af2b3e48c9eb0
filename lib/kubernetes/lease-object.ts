/** A Lease as the API server prints it, to and from what the election knows. */
import type { LeaseRecord, LeaseSnapshot, MicroTime } from '../election/index.js';
import { apiObject, countAt, textAt, type ApiObject, type Fields } from './api-object.js';

/** What a lease is called and labelled. */
export interface LeaseAddress {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** With whom the Lease goes when that is deleted. Default: nobody. */
  readonly owner?: LeaseOwner | undefined;
}

/** An object of the Lease's namespace, or of the cluster, as in `metadata.ownerReferences`. */
export interface LeaseOwner {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

/** A Lease, as others refer to it. */
export interface LeaseReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace: string;
  /** Undefined before the Lease was seen. */
  readonly uid: string | undefined;
}

/** The annotation in which a process asks the holder for the lease. */
const WANTED_BY = 'nestjs-leader/wanted-by';
/** The annotation in which a holder notes the time of its last record, in a coordinated election. */
const HELD_AT = 'nestjs-leader/held-at';

/** What a Lease says. @throws UnusableObject for a spec that no API server prints. */
export function leaseIn(object: ApiObject): LeaseSnapshot {
  const { resourceVersion, uid, annotations = {} } = object.metadata;
  const wantedBy = textAt(annotations, WANTED_BY, 'metadata.annotations.');
  const heldAt = textAt(annotations, HELD_AT, 'metadata.annotations.') as MicroTime | undefined;
  const record = {
    ...recordOf(object.spec ?? {}),
    ...(wantedBy !== undefined && { wantedBy }),
    ...(heldAt !== undefined && { heldAt }),
  };
  return { record, resourceVersion, uid, carried: object };
}

function recordOf(spec: Fields): LeaseRecord {
  const textIn = (field: string): string | undefined => textAt(spec, field, 'spec.');
  const countIn = (field: string): number | undefined => countAt(spec, field, 'spec.');
  const preferredHolder = textIn('preferredHolder');
  return {
    ...(preferredHolder !== undefined && { preferredHolder }),
    holderIdentity: textIn('holderIdentity') ?? '',
    leaseDurationSeconds: countIn('leaseDurationSeconds'),
    acquireTime: textIn('acquireTime') as MicroTime | undefined,
    renewTime: textIn('renewTime') as MicroTime | undefined,
    leaseTransitions: countIn('leaseTransitions'),
  };
}

/** Whether the Lease says who holds it, if only that nobody does. */
export function namesHolder({ carried }: LeaseSnapshot): boolean {
  return typeof (carried as ApiObject).spec?.['holderIdentity'] === 'string';
}

/** The object to create. Without uid and resourceVersion, so that a PUT makes it only if there is none. */
export function newLease(record: LeaseRecord, { name, namespace, labels, owner }: LeaseAddress): object {
  const labelled = Object.keys(labels).length > 0 ? { labels } : {};
  const { wantedBy: _, heldAt, ...spec } = record;
  const annotated = heldAt === undefined ? {} : { annotations: { [HELD_AT]: heldAt } };
  const owned = owner === undefined ? {} : { ownerReferences: [owner] };
  return { ...LEASE_KIND, metadata: { name, namespace, ...labelled, ...annotated, ...owned }, spec };
}

/**
 * The object to put in the place of `base`: with its uid and resourceVersion, without which it might bring a deleted
 * Lease back to life, and with all that others wrote beside our fields.
 *
 * @throws UnusableObject when `base` is none that was read of this Lease.
 */
export function changedLease(
  base: LeaseSnapshot,
  record: LeaseRecord,
  { name, namespace, labels }: LeaseAddress,
): object {
  const { metadata, spec } = apiObject(base.carried, { kind: LEASE_KIND.kind, name, namespace });
  const { managedFields: _, annotations = {}, ...kept } = metadata;
  const { wantedBy, heldAt, ...written } = record;
  const { [WANTED_BY]: __, ...others } = annotations;
  const annotated = {
    ...others,
    ...(wantedBy !== undefined && { [WANTED_BY]: wantedBy }),
    ...(heldAt !== undefined && { [HELD_AT]: heldAt }),
  };
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

/** What every Lease says it is. */
export const LEASE_KIND = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' };
