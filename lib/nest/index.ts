export { InjectLeader, getElectorToken, getLeaderToken } from './tokens.js';
export { LeaderElectionModule } from './leader-election.module.js';
export {
  LeaderHealthIndicator,
  type LeaderHealth,
  type LeaderHealthOptions,
} from './leader-health.indicator.js';
export {
  LeaderStatusModule,
  type ElectionStatus,
  type LeaderStatus,
  type LeaderStatusOptions,
} from './leader-status.module.js';
export {
  LeaderEvents,
  type LeaderChangedEvent,
  type LeaderEvent,
  type LeaderFailedEvent,
  type LeaderStartedEvent,
  type LeaderStoppedEvent,
} from './leader-events.js';
export type { LockOption } from './options/lock-option.js';
export { optionsFromEnvironment } from './options/options-from-environment.js';
export type { ElectionEventOf } from './leader-handle.js';
export { LeaderService, type RunAsLeaderOptions, type WaitOptions } from './leader.service.js';
export {
  OnNewLeader,
  OnStartedLeading,
  OnStoppedLeading,
  type LeadershipHookOptions,
  type StartedLeadingOptions,
} from './hooks/leadership-hooks.js';
export type {
  CoordinatedOptions,
  KubernetesOptions,
  LeaderElectionModuleAsyncOptions,
  LeaderElectionModuleExtras,
  LeaderElectionModuleOptions,
  LeaderElectionOptionsFactory,
} from './options/module-options.js';
export { OnlyWhenLeader, type OnlyWhenLeaderOptions } from './gate/only-when-leader.decorator.js';
export { LeaderGuard, RequireLeader } from './gate/leader.guard.js';
export { registerHandlerKind, type HandlerKind, type HandlerKindOptions } from './gate/handler-kind.js';
export type { Otherwise, RefusedCall } from './gate/refusal.js';
