/** A Lease as the API server keeps it: the wire format of coordination.k8s.io/v1. */

/** A reference from a Lease to the object that owns it. */
export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

/** Which manager wrote which fields. */
export interface ManagedFieldsEntry {
  readonly manager?: string;
  readonly operation?: string;
  readonly apiVersion?: string;
  readonly time?: string;
  readonly fieldsType?: string;
  readonly fieldsV1?: FieldTree;
  readonly subresource?: string;
}

/** Fields as managedFields writes them: `{"f:spec":{"f:holderIdentity":{}}}`. */
export interface FieldTree {
  readonly [name: string]: FieldTree;
}

/** The metadata of a Lease. What is empty is absent. */
export interface LeaseMetadata {
  readonly name?: string;
  readonly generateName?: string;
  readonly namespace?: string;
  readonly selfLink?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly deletionGracePeriodSeconds?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly finalizers?: readonly string[];
  readonly managedFields?: readonly ManagedFieldsEntry[];
}

/** The spec of a Lease: the record. */
export interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
  readonly strategy?: string;
  readonly preferredHolder?: string;
}

/** A Lease. */
export interface LeaseObject {
  readonly apiVersion: 'coordination.k8s.io/v1';
  readonly kind: 'Lease';
  readonly metadata: LeaseMetadata;
  readonly spec: LeaseSpec;
}

/** What every stored Lease has. */
export interface StoredLease extends LeaseObject {
  readonly metadata: LeaseMetadata & {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly creationTimestamp: string;
  };
}

/** `group/version` of the Leases served. */
export const API_VERSION = 'coordination.k8s.io/v1';
