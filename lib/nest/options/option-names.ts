import type { ElectionOptions } from '../../election/index.js';
import type { LeaderElectionModuleOptions } from './module-options.js';

const takenBy = {
  enabled: 'module',
  kubernetes: 'module',
  readinessCheck: 'module',
  readinessInterval: 'module',
  slots: 'module',
  alsoLease: 'module',
  coordinated: 'module',
  metrics: 'module',
  exposeLeader: 'module',
  trace: 'module',
  leaseName: 'election',
  leaseNamespace: 'election',
  identity: 'election',
  leaseDuration: 'election',
  renewDeadline: 'election',
  retryPeriod: 'election',
  jitterFactor: 'election',
  renewInterval: 'election',
  releaseOnCancel: 'election',
  drainTimeout: 'election',
  termLimit: 'election',
  lockDelay: 'election',
  reclaimOwnLease: 'election',
  labels: 'election',
  spread: 'election',
  onLost: 'election',
  events: 'module',
  leaderPodLabels: 'module',
  ownerReference: 'module',
  preflight: 'module',
} satisfies {
  [Name in keyof LeaderElectionModuleOptions]-?: Name extends keyof ElectionOptions ? 'election' : 'module';
};

export const optionNames: readonly string[] = Object.keys(takenBy);

/** The options of the election itself, unchecked: the election checks them. */
export function electionOptionsIn(options: object): ElectionOptions {
  const given = Object.entries(options).filter(
    ([name]) => Object.hasOwn(takenBy, name) && takenBy[name as keyof typeof takenBy] === 'election',
  );
  return Object.fromEntries(given) as unknown as ElectionOptions;
}
