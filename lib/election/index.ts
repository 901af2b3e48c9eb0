/** `nestjs-leader/election`: the election without Nest and without a Kubernetes client. */
export type {
  Candidacy,
  ElectionCondition,
  ElectionEvent,
  ElectionObserver,
  Elector,
  ElectorState,
  LeaseUpdate,
  StepDownOptions,
  ProofOfDeath,
  TermGuard,
} from './elector.js';
export type { Clock, Disposer, MonotonicMs, WallMs } from './clock.js';
export { SystemClock } from './system-clock.js';
export { currentTerm, runInTerm } from './current-term.js';
export {
  defaultIdentity,
  resolveElectionOptions,
  type ElectionEnvironment,
  type ElectionOptions,
  type ResolvedElectionOptions,
} from './options.js';
export type { PriorityOf } from './priority/preference.js';
export { ElectionRunner, type RunningElection } from './runner/election-runner.js';
export {
  InvalidOptionsError,
  LeaderError,
  LeaseRequestError,
  NotLeaderError,
  TermOverError,
  isLeaderError,
  leaderErrorCodes,
  type LeaderErrorCode,
  readable,
} from './errors.js';
export { LeaseClaim, type ClaimCall, type ClaimOutcome, type LeaseClaimParts } from './claims/lease-claim.js';
export { JointElector, type JointElectorParts } from './two-leases/joint-elector.js';
export { LeaseElector, type LeaseElectorParts } from './lease-elector.js';
export type {
  HolderNote,
  LeaseCall,
  LeaseLock,
  LeaseRecord,
  LeaseSnapshot,
  MicroTime,
  WatchEvent,
  WriteOutcome,
} from './lease.js';
export type {
  ElectionFact,
  ElectionMeter,
  GatedCallOutcome,
  MeteredLease,
  MetricsProvider,
  RenewalOutcome,
  Takeover,
} from './meter.js';
export { overdueBy, type OverdueFacts } from './watchdog/overdue.js';
export type { CampaignChoice } from './readiness/campaign.js';
export { Readiness, type ReadinessCheck, type ReadinessParts } from './readiness/readiness.js';
export { ScriptedElector } from './scripted/scripted-elector.js';
export type { GrantOptions, ScriptedElectorParts } from './scripted/scripted-options.js';
export { SlotElector, slotLeaseName, type SlotElectorParts } from './slots/slot-elector.js';
export { Spread, type SpreadElection } from './spread/spread.js';
export type { ElectionTrace } from './machine.js';
export { stepRecorder } from './story/recording.js';
export { storyTeller } from './story/story.js';
export { StaticElector, type Role, type StaticElectorParts } from './static/static-elector.js';
export type { CallTrace, ElectionTracer, TracesProvider } from './tracing/tracing.js';
export { isTermOver, type LeadershipTerm, type TermEndReason } from './term.js';
export { Watchdog, type WatchdogParts } from './watchdog/watchdog.js';
export type { WatchState } from './watch.js';
