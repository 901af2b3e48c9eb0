export {
  LeaderElectionTestingModule,
  type LeaderElectionTestingOptions,
} from './leader-election-testing.module.js';
export {
  overrideLeaderElection,
  type OverriddenElections,
  type OverrideElectionOptions,
  type TestingBuilder,
} from './override-leader-election.js';
