/** `nestjs-leader/kubernetes`: leases of a Kubernetes API server. */
export type { ApiConnection, ApiRequest, ApiResponse, ApiStream } from './api-connection.js';
export type { CandidateSpec } from './coordinated/candidate-object.js';
export {
  CoordinatedElector,
  type CoordinatedElectorParts,
  type Coordination,
} from './coordinated/coordinated-elector.js';
export type { LeaseObjectLock } from './coordinated/coordinated-lock.js';
export {
  LeaseCandidateKeeper,
  type LeaseCandidateKeeperParts,
} from './coordinated/lease-candidate-keeper.js';
export { defaultNamespace, type DefaultNamespace } from './default-namespace.js';
export { KubernetesConnection } from './connection.js';
export { KubernetesLeaseLock } from './kubernetes-lease-lock.js';
export type { LeaseAddress, LeaseOwner, LeaseReference } from './lease-object.js';
export type { KubernetesSource } from './kubernetes-source.js';
