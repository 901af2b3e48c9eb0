import {
  InvalidOptionsError,
  LeaderError,
  LeaseElector,
  StaticElector,
  defaultIdentity,
  resolveElectionOptions,
  type Elector,
} from '../election/index.js';
import type { KubernetesConnections } from './kubernetes-connections.js';
import type { LeaderElectionModuleOptions } from './module-options.js';

/**
 * The elector that the options ask for. Nothing is asked of the API server yet.
 *
 * @throws LeaderError `LEADER_INVALID_OPTIONS`, `LEADER_NO_NAMESPACE`: mistakes that no retry mends.
 */
export async function createElector(
  options: LeaderElectionModuleOptions,
  connections: KubernetesConnections,
): Promise<Elector> {
  const { enabled = true, kubernetes = {}, ...election } = asObject(options);
  const identity = election.identity ?? defaultIdentity();
  if (typeof enabled !== 'boolean') {
    throw new InvalidOptionsError([`enabled is ${JSON.stringify(enabled)}: it must be true or false`]);
  }
  if (!enabled) {
    const { leaseName, drainTimeout } = resolveElectionOptions(election, {
      leaseNamespace: 'none',
      identity,
    });
    return new StaticElector({ role: 'leader', leaseName, identity, drainTimeout });
  }
  const { KubernetesConnection, KubernetesLeaseLock, podNamespace } = await import('../kubernetes/index.js');
  const leaseNamespace = election.leaseNamespace ?? podNamespace();
  if (leaseNamespace === undefined) throw noNamespace(election.leaseName);
  const resolved = resolveElectionOptions(election, { leaseNamespace, identity });
  const connection = connections.share(kubernetes, () => new KubernetesConnection(kubernetes));
  const { leaseName, labels } = resolved;
  const lock = new KubernetesLeaseLock(connection, { name: leaseName, namespace: leaseNamespace, labels });
  return new LeaseElector({ lock, options: resolved });
}

function asObject(options: unknown): LeaderElectionModuleOptions {
  if (typeof options === 'object' && options !== null) return options as LeaderElectionModuleOptions;
  throw new InvalidOptionsError([
    `the options are ${typeof options}: they must be an object with a leaseName`,
  ]);
}

function noNamespace(leaseName: string): LeaderError {
  return new LeaderError(
    'LEADER_NO_NAMESPACE',
    `In which namespace to keep the lease '${leaseName}' is not known: this process does not run in a pod that could ` +
      `tell its own. Set leaseNamespace, or enabled: false to run without a cluster (this process then always leads).`,
  );
}
