/** `nestjs-leader/testing`: what a user needs to test an application, or to try one without a cluster. */
export * from './testing/index.js';
export { ScriptedElector, type ScriptedElectorParts } from './election/index.js';
export {
  LeaderElectionTestingModule,
  getElectorToken,
  type LeaderElectionTestingOptions,
} from './nest/index.js';
