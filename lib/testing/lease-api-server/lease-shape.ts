/** The shapes of what clients send: `Lease` and `DeleteOptions`, as k8s.io/api declares them. */
import type { Field, Shape, StructShape } from './typed-decoding.js';

const text: Shape = { kind: 'string', name: 'string' };
const uid: Shape = { kind: 'string', name: 'types.UID' };
const bool: Shape = { kind: 'bool', name: 'bool' };
const int32: Shape = { kind: 'int32', name: 'int32' };
const int64: Shape = { kind: 'int64', name: 'int64' };
const seconds: Shape = { kind: 'time', layout: 'seconds' };
const micros: Shape = { kind: 'time', layout: 'micros' };
const texts: Shape = { kind: 'map', name: 'map[string]string', values: text };

function struct(name: string, fields: readonly Field[]): StructShape {
  return { kind: 'struct', name, typeName: `v1.${name}`, fields };
}

function list(name: string, items: Shape): Shape {
  return { kind: 'list', name, items };
}

const typeMeta: readonly Field[] = [
  { name: 'kind', shape: text },
  { name: 'apiVersion', shape: text },
];

const ownerReference = struct('OwnerReference', [
  { name: 'apiVersion', shape: text, empty: 'fill' },
  { name: 'kind', shape: text, empty: 'fill' },
  { name: 'name', shape: text, empty: 'fill' },
  { name: 'uid', shape: uid, empty: 'fill' },
  { name: 'controller', shape: bool },
  { name: 'blockOwnerDeletion', shape: bool },
]);

const managedFieldsEntry = struct('ManagedFieldsEntry', [
  { name: 'manager', shape: text },
  { name: 'operation', shape: { kind: 'string', name: 'v1.ManagedFieldsOperationType' } },
  { name: 'apiVersion', shape: text },
  { name: 'time', shape: seconds },
  { name: 'fieldsType', shape: text },
  { name: 'fieldsV1', shape: { kind: 'any' } },
  { name: 'subresource', shape: text },
]);

const objectMeta = struct('ObjectMeta', [
  { name: 'name', shape: text },
  { name: 'generateName', shape: text },
  { name: 'namespace', shape: text },
  { name: 'selfLink', shape: text },
  { name: 'uid', shape: uid },
  { name: 'resourceVersion', shape: text },
  { name: 'generation', shape: int64 },
  { name: 'creationTimestamp', shape: seconds },
  { name: 'deletionTimestamp', shape: seconds },
  { name: 'deletionGracePeriodSeconds', shape: int64 },
  { name: 'labels', shape: texts },
  { name: 'annotations', shape: texts },
  { name: 'ownerReferences', shape: list('[]v1.OwnerReference', ownerReference) },
  { name: 'finalizers', shape: list('[]string', text) },
  // An empty list is a wish to clear it, so it must be told from none.
  { name: 'managedFields', shape: list('[]v1.ManagedFieldsEntry', managedFieldsEntry), empty: 'keep' },
]);

const leaseSpec = struct('LeaseSpec', [
  { name: 'holderIdentity', shape: text, empty: 'keep' },
  { name: 'leaseDurationSeconds', shape: int32 },
  { name: 'acquireTime', shape: micros },
  { name: 'renewTime', shape: micros },
  { name: 'leaseTransitions', shape: int32 },
  { name: 'strategy', shape: { kind: 'string', name: 'v1.CoordinatedLeaseStrategy' }, empty: 'keep' },
  { name: 'preferredHolder', shape: text, empty: 'keep' },
]);

/** A Lease as clients send it. */
export const leaseShape = struct('Lease', [
  ...typeMeta,
  { name: 'metadata', shape: objectMeta, empty: 'fill' },
  { name: 'spec', shape: leaseSpec, empty: 'fill' },
]);

/** The body of a DELETE. */
export const deleteOptionsShape = struct('DeleteOptions', [
  ...typeMeta,
  { name: 'gracePeriodSeconds', shape: int64 },
  {
    name: 'preconditions',
    shape: struct('Preconditions', [
      { name: 'uid', shape: uid, empty: 'keep' },
      { name: 'resourceVersion', shape: text, empty: 'keep' },
    ]),
  },
  { name: 'orphanDependents', shape: bool },
  { name: 'propagationPolicy', shape: { kind: 'string', name: 'v1.DeletionPropagation' } },
  { name: 'dryRun', shape: list('[]string', text) },
]);
