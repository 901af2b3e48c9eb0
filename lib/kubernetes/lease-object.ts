/** A Lease as the API server prints it, to and from what the election knows. */
import type { LeaseRecord, LeaseSnapshot, MicroTime } from '../election/index.js';

/** The parts of a Lease object that are looked at; whatever else it holds is carried along. */
export interface LeaseObject {
  readonly metadata: Readonly<Record<string, unknown>> & {
    readonly resourceVersion: string;
    readonly uid: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: Readonly<Record<string, unknown>>;
}

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

/** The Lease in a response's body, or undefined when there is none in it. */
export function parseLease(value: unknown): LeaseSnapshot | undefined {
  if (!isLease(value)) return undefined;
  const spec = value.spec ?? {};
  const { resourceVersion, uid, annotations } = value.metadata;
  const wantedBy = textOf(annotations?.[WANTED_BY]);
  const heldAt = textOf(annotations?.[HELD_AT]) as MicroTime | undefined;
  const record = {
    ...recordOf(spec),
    ...(wantedBy !== undefined && { wantedBy }),
    ...(heldAt !== undefined && { heldAt }),
  };
  return { record, resourceVersion, uid, carried: value };
}

function isLease(value: unknown): value is LeaseObject {
  if (typeof value !== 'object' || value === null || !('metadata' in value)) return false;
  const { metadata } = value;
  if (typeof metadata !== 'object' || metadata === null) return false;
  const { resourceVersion, uid } = metadata as Record<string, unknown>;
  return typeof resourceVersion === 'string' && /^\d+$/.test(resourceVersion) && typeof uid === 'string';
}

function recordOf(spec: Readonly<Record<string, unknown>>): LeaseRecord {
  const preferredHolder = textOf(spec['preferredHolder']);
  return {
    ...(preferredHolder !== undefined && { preferredHolder }),
    holderIdentity: textOf(spec['holderIdentity']) ?? '',
    leaseDurationSeconds: numberOf(spec['leaseDurationSeconds']),
    acquireTime: textOf(spec['acquireTime']) as MicroTime | undefined,
    renewTime: textOf(spec['renewTime']) as MicroTime | undefined,
    leaseTransitions: numberOf(spec['leaseTransitions']),
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

/** Whether the Lease says who holds it, if only that nobody does. */
export function namesHolder({ carried }: LeaseSnapshot): boolean {
  return typeof (carried as LeaseObject).spec?.['holderIdentity'] === 'string';
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
 */
export function changedLease(base: LeaseSnapshot, record: LeaseRecord, { labels }: LeaseAddress): object {
  const { metadata, spec } = base.carried as LeaseObject;
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
