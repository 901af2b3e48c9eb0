/** `nestjs-leader/testing`: what a user needs to test an application, or to try one without a cluster. */
export * from './testing/index.js';
export { ScriptedElector, type GrantOptions, type ScriptedElectorParts } from './election/index.js';
export { getElectorToken } from './nest/index.js';
export {
  LeaderElectionTestingModule,
  overrideLeaderElection,
  type LeaderElectionTestingOptions,
  type OverriddenElections,
  type OverrideElectionOptions,
  type TestingBuilder,
} from './nest/testing/index.js';
