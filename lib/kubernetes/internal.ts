/** What the Nest layer and the command line need of Kubernetes: all that is published, and what only they need. */
export * from './index.js';
export { ownProcess } from './death/own-process.js';
export { PodStatus } from './death/pod-status.js';
export { SameContainer } from './death/same-container.js';
export { attend, type Attendance, type AttendantsParts } from './attendants.js';
export { factsOf, type LeaseFacts } from './lease-facts.js';
export { jsonIn, reading } from './answers.js';
export { LeaseObserver, type LeaseChange, type LeasesSeen } from './lease-observer.js';
export { sourceFields, sourceViolations } from './kubernetes-source.js';
export { isInCluster, ownPod, podNamespace } from './pod.js';
export { Preflight, isGranted, type ElectionNeeds } from './preflight.js';
export {
  EVENTS,
  LEASES,
  LEASE_CANDIDATES,
  PODS,
  WATCHED_PODS,
  pathOf,
  ruleFor,
  type ResourceKind,
} from './resources.js';
export { failure, refusal, saysNoLease } from './request-errors.js';
export { SideRequests } from './side-requests.js';
export { ReleaseAtExit } from './exit/release-at-exit.js';
