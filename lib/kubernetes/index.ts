/** `nestjs-leader/kubernetes`: leases of a Kubernetes API server. */
export type { ApiConnection, ApiRequest, ApiResponse, ApiStream } from './api-connection.js';
export { KubernetesConnection } from './connection.js';
export { KubernetesLeaseLock } from './kubernetes-lease-lock.js';
export type { LeaseAddress } from './lease-object.js';
export type { KubernetesSource } from './kubernetes-source.js';
export { isInCluster, podNamespace } from './pod.js';
