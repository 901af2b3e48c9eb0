export {
  LeaderElectionTestingModule,
  type LeaderElectionTestingOptions,
} from './leader-election-testing.module.js';
