/** `nestjs-leader/election`: the election without Nest and without a Kubernetes client. */
export type { Attendant, Report } from './attendant.js';
export type { Candidacy } from './candidacy.js';
export { LONG_AGO, after, type Clock, type Disposer, type MonotonicMs, type WallMs } from './clock.js';
export { SystemClock } from './system-clock.js';
export type { Coordination } from './coordination.js';
export { currentTerm, fakedTerm, isInTerm, runInFakedTerm, runInTerm } from './current-term.js';
export { decide, type Decision, type ElectionView, type TermView } from './decide.js';
export { defaultIdentity } from './default-identity.js';
export { ElectionRunner, type RunningElection } from './runner/election-runner.js';
export type {
  ElectionCondition,
  ElectionEvent,
  ElectionObserver,
  Elector,
  ElectorState,
  StepDownOptions,
} from './elector.js';
export {
  InvalidOptionsError,
  LeaderError,
  LeaseRequestError,
  NotLeaderError,
  TermOverError,
  isLeaderError,
  leaderErrorCodes,
  type LeaderErrorCode,
} from './errors.js';
export { isSubdomain, labelViolations } from './label-rules.js';
export { LeaseClaim, type ClaimCall, type ClaimOutcome, type LeaseClaimParts } from './claims/lease-claim.js';
export { JointElector, type JointElectorParts } from './two-leases/joint-elector.js';
export { LeaseElector, type LeaseElectorParts } from './lease-elector.js';
export {
  isNewer,
  type LeaseCall,
  type LeaseLock,
  type LeaseSnapshot,
  type WatchEvent,
  type WriteOutcome,
} from './lease-lock.js';
export { sameRecord, type LeaseRecord, type MicroTime } from './lease-record.js';
export {
  unfailingMeter,
  type ElectionFact,
  type ElectionMeter,
  type GatedCallOutcome,
  type MeteredLease,
  type MetricsProvider,
  type RenewalOutcome,
  type Takeover,
} from './meter.js';
export type { Observation } from './observation.js';
export { DURATION, TEXT, refuseInvalid, type OptionRule } from './option-rules.js';
export { fieldsOf, isDuration, kindOf, show } from './option-values.js';
export {
  resolveElectionOptions,
  type ElectionEnvironment,
  type ElectionOptions,
  type ResolvedElectionOptions,
} from './options.js';
export { overdueBy, type OverdueFacts } from './watchdog/overdue.js';
export { readable } from './readable.js';
export { Readiness, type ReadinessCheck, type ReadinessParts } from './readiness/readiness.js';
export { ScriptedElector } from './scripted/scripted-elector.js';
export type { GrantOptions, ScriptedElectorParts } from './scripted/scripted-options.js';
export { SlotElector, slotLeaseName, type SlotElectorParts } from './slots/slot-elector.js';
export { Spread, type SpreadElection } from './spread/spread.js';
export { StaticElector, type Role, type StaticElectorParts } from './static/static-elector.js';
export type { TermGuard } from './term-guard.js';
export { isLoss, type LeadershipTerm, type TermEndReason } from './term.js';
export { isTermOver } from './term-over.js';
export { Watchdog, type WatchdogParts } from './watchdog/watchdog.js';
export { WatchKeeper, type WatchListener, type WatchState, type Watched } from './watch-keeper.js';
export { bounded, pause, type Bounds } from './waiting.js';
