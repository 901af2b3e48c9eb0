/** The embedded Lease API server, part of `nestjs-leader/testing`. */
export type { AccessRule } from './access.js';
export type { Fault, FaultAction, FaultAnswer, FaultFilter, Faults, FaultSpec } from './faults.js';
export {
  LeaseApiServer,
  type KubeconfigOptions,
  type LeaseApiServerOptions,
  type LeaseByHand,
} from './lease-api-server.js';
export type {
  FieldTree,
  LeaseMetadata,
  LeaseObject,
  LeaseSpec,
  ManagedFieldsEntry,
  OwnerReference,
  StoredLease,
} from './lease-object.js';
export type { LoggedRequest } from './request-log.js';
export type { LeaseVerb } from './routes.js';
