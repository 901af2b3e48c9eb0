import {
  JointElector,
  LeaderError,
  LeaseElector,
  SlotElector,
  StaticElector,
  defaultIdentity,
  slotLeaseName,
  type ElectionMeter,
  type Elector,
  type LeaseElectorParts,
  type LeaseLock,
  type ResolvedElectionOptions,
  type SlotElectorParts,
} from '../election/index.js';
import { AttendedElector } from './attended-elector.js';
import { storyLog } from './election-log.js';
import type { ElectionGroup } from './election-group.js';
import type { KubernetesConnections } from './kubernetes-connections.js';
import { candidateSpec, longestWithdrawal } from './options/coordinated-option.js';
import type { KubernetesOptions, LeaderElectionModuleOptions } from './options/module-options.js';
import { asOptions, readinessOf, resolveOptions } from './options/resolve-options.js';

/**
 * Creates the elector that the options of an election ask for. Sends no request to the API server, except with
 * `preflight: 'fail'`.
 *
 * @throws LeaderError `LEADER_INVALID_OPTIONS`, `LEADER_NO_NAMESPACE`: mistakes that a retry cannot mend;
 * `LEADER_PERMISSION_MISSING` with `preflight: 'fail'`.
 */
export async function createElector(
  name: string,
  given: LeaderElectionModuleOptions,
  connections: KubernetesConnections,
  group: ElectionGroup,
): Promise<Elector> {
  const options = asOptions(name, given);
  const ofKubernetes =
    options.kubernetes === undefined ? [] : (await kubernetesRoom()).sourceViolations(options.kubernetes);
  // The name of a candidate is the identity, and a candidate stands for one lease.
  const ownName = options.coordinated === undefined ? group.identity : defaultIdentity();
  const identity = options.identity ?? ownName;
  return options.enabled === false
    ? withoutCluster(name, { options, identity, ofKubernetes })
    : inCluster(name, { options, identity, ofKubernetes }, { connections, group });
}

/** Loaded only for an election that has a cluster. */
const kubernetesRoom = () => import('../kubernetes/index.js');

interface Given {
  readonly options: LeaderElectionModuleOptions;
  readonly identity: string;
  /** What is wrong with the option `kubernetes`. */
  readonly ofKubernetes: readonly string[];
}

function withoutCluster(name: string, { options, identity, ofKubernetes }: Given): Elector {
  const environment = { leaseNamespace: 'none', identity };
  const { leaseName, drainTimeout } = resolveOptions(name, options, environment, ofKubernetes);
  const meter = options.metrics?.meter({ leaseName, election: name });
  return new StaticElector({ role: 'leader', leaseName, identity, drainTimeout, meter });
}

async function inCluster(
  name: string,
  { options, identity, ofKubernetes }: Given,
  { connections, group }: { readonly connections: KubernetesConnections; readonly group: ElectionGroup },
): Promise<Elector> {
  const {
    CoordinatedElector,
    KubernetesConnection,
    KubernetesLeaseLock,
    LeaseCandidateKeeper,
    attend,
    defaultNamespace,
    sourceFields,
  } = await kubernetesRoom();
  // The fields that were checked, without undefined ones: otherwise two equal sources would get two connections.
  const kubernetes: KubernetesOptions = Object.fromEntries(
    Object.entries(sourceFields(options.kubernetes) ?? {}).filter(([, value]) => value !== undefined),
  );
  const resolve = (leaseNamespace: string): ResolvedElectionOptions =>
    resolveOptions(name, options, { leaseNamespace, identity }, ofKubernetes);
  // Invalid options are reported first: no kubeconfig is read with them.
  resolve('unknown');
  const known = { namespace: options.leaseNamespace, problem: undefined };
  const { namespace, problem } = known.namespace === undefined ? await defaultNamespace(kubernetes) : known;
  if (namespace === undefined) throw noNamespace(name, options.leaseName, problem);
  const resolved = resolve(namespace);
  const { events = false, leaderPodLabels = {}, preflight = 'warn' } = options;
  group.labelPod(name, leaderPodLabels);
  const leases = leaseNames(options);
  group.keepIn(name, JSON.stringify([Object.entries(kubernetes).sort(), namespace]), leases);
  const { coordinated, ownerReference: owner, metrics } = options;
  const { leaseName, labels, retryPeriod } = resolved;
  const connection = connections.share(kubernetes, () => new KubernetesConnection(kubernetes));
  const lockOf = (lease: string): InstanceType<typeof KubernetesLeaseLock> =>
    new KubernetesLeaseLock(connection, { name: lease, namespace, labels, owner });
  const locks = new Map(leases.map((lease) => [lease, lockOf(lease)]));
  const { guard, attendants } = await attend({
    connection,
    leaseNamespace: namespace,
    locks,
    candidate: coordinated === undefined ? undefined : identity,
    events,
    leaderPodLabels,
    preflight,
    retryPeriod,
  });
  const coordination =
    coordinated &&
    new LeaseCandidateKeeper({
      connection,
      lock: lockOf(leaseName),
      lease: { name: leaseName, namespace, labels },
      identity,
      spec: candidateSpec(coordinated),
      retryPeriod,
      longestWithdrawal: longestWithdrawal(retryPeriod),
    });
  const onOneLease = (alone: LeaseElectorParts): Elector =>
    coordination === undefined ? new LeaseElector(alone) : new CoordinatedElector({ ...alone, coordination });
  const meterOf = (lease: string): ElectionMeter | undefined =>
    metrics?.meter({ leaseName: lease, election: name });
  const traceOf =
    options.trace === true ? (lease: string) => storyLog({ election: name, leaseName: lease }) : undefined;
  const parts = { options: resolved, candidacy: readinessOf(options), guard, meterOf, traceOf };
  const elector = electorOn(locks, parts, { alsoLease: options.alsoLease, onOneLease });
  return attendants.length === 0 ? elector : new AttendedElector(elector, attendants, meterOf(leaseName));
}

function leaseNames({ leaseName, slots = 1, alsoLease }: LeaderElectionModuleOptions): string[] {
  if (alsoLease !== undefined) return [leaseName, alsoLease];
  return slots === 1
    ? [leaseName]
    : Array.from({ length: slots }, (_, slot) => slotLeaseName(leaseName, slot));
}

/** One Lease is an election of one leader. Several Leases are slots, or an election that moves to another Lease. */
function electorOn(
  locks: ReadonlyMap<string, LeaseLock>,
  parts: Omit<SlotElectorParts, 'locks'>,
  {
    alsoLease,
    onOneLease,
  }: { alsoLease: string | undefined; onOneLease: (parts: LeaseElectorParts) => Elector },
): Elector {
  const [lock] = locks.values();
  const also = alsoLease === undefined ? undefined : locks.get(alsoLease);
  if (lock !== undefined && alsoLease !== undefined && also !== undefined)
    return new JointElector({ ...parts, lock, also: { leaseName: alsoLease, lock: also } });
  if (lock !== undefined && locks.size === 1) {
    const { meterOf, traceOf, ...others } = parts;
    const { leaseName } = parts.options;
    return onOneLease({ ...others, lock, meter: meterOf?.(leaseName), trace: traceOf?.(leaseName) });
  }
  return new SlotElector({ ...parts, locks: [...locks.values()] });
}

function noNamespace(election: string, leaseName: string, problem: LeaderError | undefined): LeaderError {
  const alone = ', or enabled: false to run without a cluster (this process then always leads)';
  // The error about a missing cluster itself says how to run without one.
  const isNowhere = problem?.code === 'LEADER_NO_CLUSTER';
  const why =
    problem === undefined
      ? ''
      : ` ${isNowhere ? '' : 'The kubeconfig could not be read: '}${problem.message}`;
  return new LeaderError(
    'LEADER_NO_NAMESPACE',
    `Cannot determine the namespace of Lease '${leaseName}' of the election '${election}': neither POD_NAMESPACE, nor the ` +
      `service account of a pod, nor the context of a kubeconfig names one. Set leaseNamespace${isNowhere ? '' : alone}.${why}`,
    problem === undefined ? {} : { cause: problem },
  );
}
