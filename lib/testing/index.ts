/** `nestjs-leader/testing`: tools to test elections, and applications that have a leader. */
export {
  LeaseApiServer,
  type AccessRule,
  type Fault,
  type FaultAction,
  type FaultAnswer,
  type FaultFilter,
  type Faults,
  type FaultSpec,
  type FieldTree,
  type KubeconfigOptions,
  type LeaseApiServerOptions,
  type LeaseByHand,
  type LeaseMetadata,
  type LeaseObject,
  type LeaseSpec,
  type LeaseVerb,
  type LoggedRequest,
  type ManagedFieldsEntry,
  type OwnerReference,
  type StoredLease,
} from './lease-api-server/index.js';
export { runInFakeTerm, type FakeTerm, type FakeTermOptions } from './fake-term.js';
export {
  leaseLockContract,
  type LeaseLockCase,
  type LeaseLockContractPart,
  type LeaseLockSetup,
} from './lease-lock-contract.js';
export type { EventFaults, RequestFate, RequestFaults } from './simulated-faults.js';
export {
  SimulatedLease,
  type SimulatedChange,
  type SimulatedLeaseLock,
  type SimulatedLeaseOptions,
  type SimulatedRequest,
} from './simulated-lease.js';
export { Chance } from './chance.js';
export { SimulatedClock, type SimulatedClockOptions } from './simulated-clock.js';
export { SimulatedTime } from './simulated-time.js';
export {
  faultKinds,
  simulate,
  type FaultKind,
  type Guarantee,
  type SeedReport,
  type SimulatedFault,
  type SimulationOptions,
  type SimulationReport,
  type Violation,
} from './simulation/index.js';
