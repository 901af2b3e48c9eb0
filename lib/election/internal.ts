/** What the rooms of this package share of the election: all that is published, and what only they need. */
export * from './index.js';
export type { Attendant, Report } from './elector.js';
export { LONG_AGO, NEVER, after } from './clock.js';
export { DEFAULT_ELECTION, fakedTerm, isInTerm, runInFakedTerm } from './current-term.js';
export {
  isEarlierInstance,
  isReportedDead,
  ownContainerId,
  processOf,
  textOf,
  type ContainerInstance,
  type HolderProcess,
  type PodSeen,
  type SignOfLife,
} from './death/evidence.js';
export { decide, type Decision, type ElectionView, type TermView } from './decide.js';
export {
  electionOptionsIn,
  isSubdomain,
  knownOptions,
  labelViolations,
  leaseNameViolations,
  DURATION,
  TEXT,
  TIMINGS,
  refuseInvalid,
  type OptionRule,
  fieldsOf,
  isDuration,
  kindOf,
  show,
  withNearest,
} from './options.js';
export { isNewer, sameRecord } from './lease.js';
export { isOpen, renewableTerm } from './life.js';
export {
  newElection,
  step,
  type Election,
  type ElectionEffect,
  type MachineEvent,
  type TimedEvent,
} from './machine.js';
export { Campaign } from './readiness/campaign.js';
export { Preference } from './priority/preference.js';
export { LONGEST_READABLE, isReadable } from './errors.js';
export { unfailingMeter } from './meter.js';
export { unfailingTracer } from './tracing/tracing.js';
export { holderIn, isValid, owesToOthers, versionOf, type Observation } from './observation.js';
export type { Reply } from './requests.js';
export { systemClock } from './system-clock.js';
export { isLoss } from './term.js';
export { WatchKeeper, type WatchListener, type Watched } from './watch-keeper/watch-keeper.js';
export { boundSignal, bounded, onAbort, pause, type Bounds } from './waiting.js';
