/** What the Nest layer needs of Kubernetes: all that is published, and what only it needs. */
export * from './index.js';
export { ownProcess } from './death/own-process.js';
export { SameContainer } from './death/same-container.js';
export { attend, type Attendance, type AttendantsParts } from './attendants.js';
export { sourceFields, sourceViolations } from './kubernetes-source.js';
export { isInCluster, podNamespace } from './pod.js';
export { ReleaseAtExit } from './exit/release-at-exit.js';
