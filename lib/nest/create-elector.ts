import {
  Campaign,
  JointElector,
  LeaderError,
  LeaseElector,
  Preference,
  SlotElector,
  StaticElector,
  SystemClock,
  bounded,
  isLeaderError,
  type Attendant,
  type Candidacy,
  type ElectionMeter,
  type Elector,
  type HolderNote,
  type HolderProcess,
  type LeaseElectorParts,
  type LeaseLock,
  type ResolvedElectionOptions,
  type ProofOfDeath,
  type SlotElectorParts,
} from '../election/internal.js';
import { AttendedElector } from './attended-elector.js';
import type { ElectionGroup } from './election-group.js';
import { ElectionLog, stepLog } from './election-log.js';
import { kubernetesRoom, type KubernetesConnections, type KubernetesRoom } from './kubernetes-connections.js';
import { longestWithdrawal } from './options/coordinated-option.js';
import { locksIn, type LockOption } from './options/lock-option.js';
import { inNamespace, optionsOf, type ResolvedModuleOptions } from './options/resolve-options.js';
import type { OwnLocks } from './own-locks.js';

/** What the elections of an application share. */
export interface ElectorSurroundings {
  readonly connections: KubernetesConnections;
  readonly locks: OwnLocks;
  readonly group: ElectionGroup;
}

/**
 * Creates the elector that the options of an election ask for. Sends no request about a lease, except with `preflight: 'fail'`.
 *
 * @throws LeaderError `LEADER_INVALID_OPTIONS`, `LEADER_NO_NAMESPACE`, `LEADER_CLIENT_UNUSABLE`: mistakes that a retry cannot mend;
 * `LEADER_PERMISSION_MISSING` with `preflight: 'fail'`.
 */
export async function createElector(
  name: string,
  options: ResolvedModuleOptions,
  { connections, locks, group }: ElectorSurroundings,
): Promise<Elector> {
  if (options.enabled && options.lock !== undefined)
    return onOwnLock(name, options, options.lock, { locks, group });
  if (options.enabled) return inCluster(name, options, { connections, group });
  const { leaseName, identity, drainTimeout } = options.election;
  const meter = options.metrics?.meter({ leaseName, election: name });
  const { campaign } = options;
  const leads = typeof campaign === 'function' ? await campaign() : campaign;
  return new StaticElector({ role: leads ? 'leader' : 'follower', leaseName, identity, drainTimeout, meter });
}

/** Leases that are kept elsewhere than on an API server. No namespace is needed: the lock knows where its lease is. */
async function onOwnLock(
  name: string,
  options: ResolvedModuleOptions,
  lock: LockOption,
  { locks: open, group }: { readonly locks: OwnLocks; readonly group: ElectionGroup },
): Promise<Elector> {
  const { leaseNames, takeover } = options;
  const locks = await locksIn(lock, leaseNames, optionsOf(name));
  const election = inNamespace(name, options, 'none');
  for (const each of locks.values()) open.closeAtEnd(each, election.retryPeriod);
  group.keepIn(
    name,
    'own',
    [...locks.values()].map((each) => each.describe()),
  );
  const preference = preferenceOf(options);
  const proofOfDeath = takeover === 'expiry' ? undefined : await sameContainer(group);
  const parts = { ...partsOf(name, options, preference), options: election, proofOfDeath };
  const onOneLease = (alone: LeaseElectorParts): Elector => leaseElector(alone, preference);
  const elector = electorOn(locks, parts, { alsoLease: options.alsoLease, onOneLease });
  return attended(elector, preference === undefined ? [] : [preference], parts.meterOf(election.leaseName));
}

async function sameContainer(group: ElectionGroup): Promise<ProofOfDeath> {
  const room = await kubernetesRoom();
  return new room.SameContainer(group.ownProcess(() => knownProcess(room)));
}

async function inCluster(
  name: string,
  options: ResolvedModuleOptions,
  { connections, group }: { readonly connections: KubernetesConnections; readonly group: ElectionGroup },
): Promise<Elector> {
  const room = await kubernetesRoom();
  const { CoordinatedElector, KubernetesConnection, KubernetesLeaseLock } = room;
  const { kubernetes, leaseNames, coordinated, leaderPodLabels, events, preflight } = options;
  // In a coordinated election the API server chooses who takes over.
  const takeover = coordinated === undefined ? options.takeover : 'expiry';
  const election = inNamespace(name, options, await namespaceOf(name, options));
  const { leaseName, leaseNamespace: namespace, identity, labels, retryPeriod } = election;
  group.labelPod(name, leaderPodLabels);
  group.keepIn(name, JSON.stringify([Object.entries(kubernetes).sort(), namespace]), leaseNames);
  const connection = connections.share(kubernetes, () => new KubernetesConnection(kubernetes));
  await loadClient(connection, retryPeriod);
  const lockOf = (lease: string): InstanceType<typeof KubernetesLeaseLock> =>
    new KubernetesLeaseLock(
      connection,
      { name: lease, namespace, labels, owner: options.ownerReference },
      options.serverClockMargin,
    );
  const locks = new Map(leaseNames.map((lease) => [lease, lockOf(lease)]));
  const { guard, attendants } = await room.attend({
    connection,
    leaseNamespace: namespace,
    locks,
    mayLead: options.campaign !== false,
    candidate: coordinated === undefined ? undefined : identity,
    events,
    leaderPodLabels,
    watchesPods: takeover === 'podStatus',
    preflight,
    retryPeriod,
  });
  const coordination = coordinationOf(options, { room, connection, election, lock: lockOf(leaseName) });
  const preference = preferenceOf(options);
  const onOneLease = (alone: LeaseElectorParts): Elector =>
    coordination === undefined
      ? leaseElector(alone, preference)
      : new CoordinatedElector({ ...alone, coordination });
  const own = takeover === 'expiry' ? undefined : group.ownProcess(() => knownProcess(room));
  const podStatus =
    takeover === 'podStatus'
      ? group.podStatus(connection, () => new room.PodStatus({ connection, own }))
      : undefined;
  const proofOfDeath = takeover === 'expiry' ? undefined : (podStatus ?? new room.SameContainer(own));
  const parts = { ...partsOf(name, options, preference), options: election, proofOfDeath, guard };
  const elector = electorOn(locks, parts, { alsoLease: options.alsoLease, onOneLease });
  const releases = options.releaseAtExit && election.releaseOnCancel;
  const all = [
    ...attendants,
    ...(preference === undefined ? [] : [preference]),
    ...(podStatus === undefined ? [] : [podStatus.attendant()]),
    ...(releases ? [new room.ReleaseAtExit(elector, connection)] : []),
  ];
  return attended(elector, all, parts.meterOf(leaseName));
}

function attended(
  elector: Elector,
  attendants: readonly Attendant[],
  meter: ElectionMeter | undefined,
): Elector {
  return attendants.length === 0 ? elector : new AttendedElector(elector, attendants, meter);
}

function leaseElector(parts: LeaseElectorParts, preference: Preference | undefined): LeaseElector {
  const elector = new LeaseElector(parts);
  preference?.in(elector);
  return elector;
}

type MeterOf = (leaseName: string) => ElectionMeter | undefined;

/** What an election has wherever its lease is kept. */
function partsOf(
  election: string,
  options: ResolvedModuleOptions,
  preference: Preference | undefined,
): Pick<SlotElectorParts, 'candidacy' | 'note' | 'traceOf'> & { readonly meterOf: MeterOf } {
  const { metrics, trace } = options;
  return {
    candidacy: candidacyOf(options),
    note: noteOf(options, preference),
    meterOf: (leaseName) => metrics?.meter({ leaseName, election }),
    ...(trace !== false && { traceOf: (leaseName) => stepLog({ election, leaseName }, trace) }),
  };
}

/** The candidate of this process, in a coordinated election. */
function coordinationOf(
  { coordinated }: ResolvedModuleOptions,
  parts: {
    readonly room: KubernetesRoom;
    readonly connection: InstanceType<KubernetesRoom['KubernetesConnection']>;
    readonly election: ResolvedElectionOptions;
    readonly lock: InstanceType<KubernetesRoom['KubernetesLeaseLock']>;
  },
): InstanceType<KubernetesRoom['LeaseCandidateKeeper']> | undefined {
  if (coordinated === undefined) return undefined;
  const { room, connection, lock, election } = parts;
  const { leaseName: name, leaseNamespace: namespace, identity, labels, retryPeriod } = election;
  return new room.LeaseCandidateKeeper({
    connection,
    lock,
    lease: { name, namespace, labels },
    identity,
    spec: coordinated,
    retryPeriod,
    longestWithdrawal: longestWithdrawal(retryPeriod),
  });
}

/** Whether this process wants to lead, if anything but the election decides that. */
function candidacyOf({ campaign, readiness, election }: ResolvedModuleOptions): Candidacy | undefined {
  if (campaign === true) return readiness;
  return new Campaign({ choice: campaign, retryPeriod: election.retryPeriod, candidacy: readiness });
}

/** Undefined without priorities, and for a process that never leads. */
function preferenceOf({ priority, campaign, election }: ResolvedModuleOptions): Preference | undefined {
  if (priority === undefined || campaign === false) return undefined;
  return new Preference({ priority, interval: election.leaseDuration });
}

/** What this process tells others while it leads. */
function noteOf(
  { advertise: address }: ResolvedModuleOptions,
  preference: Preference | undefined,
): (() => HolderNote) | undefined {
  if (address === undefined && preference === undefined) return undefined;
  return () => {
    const priority = preference?.noted;
    return { ...(address !== undefined && { address }), ...(priority !== undefined && { priority }) };
  };
}

function knownProcess({ ownProcess }: KubernetesRoom): HolderProcess | undefined {
  const { process, problem } = ownProcess();
  if (problem !== undefined) ElectionLog.logger.warn(problem);
  return process;
}

/**
 * Loads what the first request would load, for `retryPeriod` at most. Without a client that a kubeconfig or a proxy needs, this
 * process could never lead. Any other failure may pass: the first request reports it.
 *
 * @throws LeaderError `LEADER_CLIENT_UNUSABLE`
 */
async function loadClient(connection: { start(): Promise<void> }, retryPeriod: number): Promise<void> {
  const deadline = { clock: new SystemClock(), ms: retryPeriod, error: () => new Error('too slow') };
  try {
    await bounded({ deadline }, () => connection.start());
  } catch (error) {
    if (isLeaderError(error, 'LEADER_CLIENT_UNUSABLE')) throw error;
  }
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

/** @throws LeaderError `LEADER_NO_NAMESPACE`, `LEADER_CLIENT_UNUSABLE` */
async function namespaceOf(name: string, { election, kubernetes }: ResolvedModuleOptions): Promise<string> {
  if (election.leaseNamespace !== undefined) return election.leaseNamespace;
  const { namespace, problem } = await (await kubernetesRoom()).defaultNamespace(kubernetes);
  if (problem?.code === 'LEADER_CLIENT_UNUSABLE') throw problem;
  if (namespace !== undefined) return namespace;
  const alone = ', or enabled: false to run without a cluster (this process then always leads)';
  // The error about a missing cluster itself says how to run without one.
  const isNowhere = problem?.code === 'LEADER_NO_CLUSTER';
  const why =
    problem === undefined
      ? ''
      : ` ${isNowhere ? '' : `The kubeconfig could not be read (${problem.code}): `}${problem.message}`;
  throw new LeaderError(
    'LEADER_NO_NAMESPACE',
    `Cannot determine the namespace of Lease '${election.leaseName}' of the election '${name}': POD_NAMESPACE is not set, and ` +
      `neither the service account of a pod nor the context of a kubeconfig names one. Set ` +
      `leaseNamespace${isNowhere ? '' : alone}.${why}`,
  );
}
