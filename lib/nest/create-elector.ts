import {
  InvalidOptionsError,
  JointElector,
  LeaderError,
  LeaseElector,
  Readiness,
  SlotElector,
  StaticElector,
  resolveElectionOptions,
  slotLeaseName,
  type ElectionEnvironment,
  type ElectionMeter,
  type ElectionOptions,
  type Elector,
  type LeaseLock,
  type ReadinessCheck,
  type ResolvedElectionOptions,
  type SlotElectorParts,
} from '../election/index.js';
import { AttendedElector } from './attended-elector.js';
import { clusterViolations } from './cluster-options.js';
import type { ElectionGroup } from './election-group.js';
import type { KubernetesConnections } from './kubernetes-connections.js';
import { metricsViolations } from './metrics-option.js';
import type { LeaderElectionModuleOptions } from './module-options.js';

/**
 * The elector that the options of the election of that name ask for. Nothing is asked of the API server yet, except with
 * `preflight: 'fail'`.
 *
 * @throws LeaderError `LEADER_INVALID_OPTIONS`, `LEADER_NO_NAMESPACE`: mistakes that no retry mends;
 * `LEADER_PERMISSION_MISSING` with `preflight: 'fail'`.
 */
export async function createElector(
  name: string,
  options: LeaderElectionModuleOptions,
  connections: KubernetesConnections,
  group: ElectionGroup,
): Promise<Elector> {
  const {
    enabled = true,
    kubernetes = {},
    slots = 1,
    alsoLease,
    metrics,
    ...election
  } = asObject(name, options);
  const identity = election.identity ?? group.identity;
  if (!enabled) {
    const { leaseName, drainTimeout } = resolve(name, options, { leaseNamespace: 'none', identity });
    const meter = metrics?.meter({ leaseName, election: name });
    return new StaticElector({ role: 'leader', leaseName, identity, drainTimeout, meter });
  }
  const { KubernetesConnection, KubernetesLeaseLock, attend, podNamespace } =
    await import('../kubernetes/index.js');
  const leaseNamespace = election.leaseNamespace ?? podNamespace();
  if (leaseNamespace === undefined) throw noNamespace(name, election.leaseName);
  const resolved = resolve(name, options, { leaseNamespace, identity });
  const connection = connections.share(kubernetes, () => new KubernetesConnection(kubernetes));
  const { leaseName, labels, retryPeriod } = resolved;
  const { ownerReference: owner, events = false, leaderPodLabels = {}, preflight = 'warn' } = options;
  const leases = leaseNames(leaseName, { slots, alsoLease });
  const locks = new Map(
    leases.map((lease) => [
      lease,
      new KubernetesLeaseLock(connection, { name: lease, namespace: leaseNamespace, labels, owner }),
    ]),
  );
  const cluster = { connection, leaseNamespace, locks, events, leaderPodLabels, preflight, retryPeriod };
  const { guard, attendants } = await attend(cluster);
  const meterOf = (lease: string): ElectionMeter | undefined =>
    metrics?.meter({ leaseName: lease, election: name });
  const parts = { options: resolved, candidacy: readinessOf(options), guard, meterOf };
  const elector = electorOn(locks, parts, alsoLease);
  return attendants.length === 0 ? elector : new AttendedElector(elector, attendants);
}

function leaseNames(
  leaseName: string,
  { slots, alsoLease }: { slots: number; alsoLease: string | undefined },
): string[] {
  if (alsoLease !== undefined) return [leaseName, alsoLease];
  return slots === 1
    ? [leaseName]
    : Array.from({ length: slots }, (_, slot) => slotLeaseName(leaseName, slot));
}

/** One Lease is an election of one leader, several are slots, or one that moves. */
function electorOn(
  locks: ReadonlyMap<string, LeaseLock>,
  parts: Omit<SlotElectorParts, 'locks'>,
  alsoLease: string | undefined,
): Elector {
  const [lock] = locks.values();
  const also = alsoLease === undefined ? undefined : locks.get(alsoLease);
  if (lock !== undefined && alsoLease !== undefined && also !== undefined)
    return new JointElector({ ...parts, lock, also: { leaseName: alsoLease, lock: also } });
  if (lock !== undefined && locks.size === 1) {
    const { meterOf, ...others } = parts;
    return new LeaseElector({ ...others, lock, meter: meterOf?.(parts.options.leaseName) });
  }
  return new SlotElector({ ...parts, locks: [...locks.values()] });
}

function asObject(name: string, options: unknown): LeaderElectionModuleOptions {
  if (typeof options === 'object' && options !== null) return options as LeaderElectionModuleOptions;
  const violation = `the options are ${options === null ? 'null' : typeof options}: they must be an object with a leaseName`;
  throw new InvalidOptionsError([violation], optionsOf(name));
}

const optionNames: readonly string[] = Object.keys({
  enabled: true,
  kubernetes: true,
  readinessCheck: true,
  readinessInterval: true,
  slots: true,
  alsoLease: true,
  metrics: true,
  leaseName: true,
  leaseNamespace: true,
  identity: true,
  leaseDuration: true,
  renewDeadline: true,
  retryPeriod: true,
  jitterFactor: true,
  renewInterval: true,
  releaseOnCancel: true,
  drainTimeout: true,
  termLimit: true,
  lockDelay: true,
  reclaimOwnLease: true,
  labels: true,
  spread: true,
  onLost: true,
  events: true,
  leaderPodLabels: true,
  ownerReference: true,
  preflight: true,
} satisfies Record<keyof LeaderElectionModuleOptions, true>);

/** One error for the module's options and the election's. */
function resolve(
  name: string,
  options: LeaderElectionModuleOptions,
  environment: ElectionEnvironment,
): ResolvedElectionOptions {
  const { enabled, kubernetes, readinessCheck: _, readinessInterval: __, slots, ...others } = options;
  const { events, leaderPodLabels, ownerReference, preflight, alsoLease, metrics, ...rest } = others;
  const election = Object.fromEntries(Object.entries(rest).filter(([given]) => optionNames.includes(given)));
  // Whatever was given goes there: telling what is wrong with it is what that function is for.
  const resolved = (): ResolvedElectionOptions =>
    resolveElectionOptions(election as unknown as ElectionOptions, environment);
  const violations = [
    ...noSuchOptions(Object.keys(rest).filter((given) => !optionNames.includes(given))),
    ...enabledViolations(enabled),
    ...kubernetesViolations(kubernetes),
    ...slotViolations(slots, rest.spread),
    ...alsoLeaseViolations({ ...rest, slots, alsoLease }, environment),
    ...clusterViolations({ events, leaderPodLabels, ownerReference, preflight }),
    ...metricsViolations(metrics),
    ...violationsOf(() => readinessOf(options)),
    ...violationsOf(resolved),
  ];
  if (violations.length > 0) throw new InvalidOptionsError(violations, optionsOf(name));
  return resolved();
}

function optionsOf(election: string): string {
  return `The options of the election '${election}'`;
}

/** The list of options is long, so it is told once, however many are unknown. */
function noSuchOptions(given: readonly string[]): string[] {
  const misplaced = given.filter(isMisplaced);
  const unknown = given.filter((option) => !isMisplaced(option)).join(', ');
  return [
    ...misplaced.map(
      (option) =>
        `${option}: it must stand beside useFactory, useClass or useExisting, not in what they make`,
    ),
    ...(unknown === ''
      ? []
      : [`${unknown}: there is no such option; the options are ${optionNames.join(', ')}`]),
  ];
}

/** A factory is asked too late for these. */
function isMisplaced(option: string): boolean {
  return option === 'name' || option === 'isGlobal';
}

function enabledViolations(enabled: unknown): string[] {
  if (enabled === undefined || typeof enabled === 'boolean') return [];
  return [`enabled is ${JSON.stringify(enabled)}: it must be true or false`];
}

function slotViolations(slots: unknown, spread: unknown): string[] {
  if (slots === undefined) return [];
  if (typeof slots !== 'number' || !Number.isInteger(slots) || slots < 1)
    return [`slots is ${JSON.stringify(slots)}: it must be a whole number, at least 1`];
  if (slots > 1 && spread === true)
    return [`slots is ${String(slots)} and spread true: slots are shared out anyway, one to a replica`];
  return [];
}

/** A Lease's name like `leaseName`, of another Lease. What makes several Leases of one cannot be moved with it. */
function alsoLeaseViolations(
  { alsoLease, leaseName, slots = 1, spread = false }: LeaderElectionModuleOptions,
  environment: ElectionEnvironment,
): string[] {
  if (alsoLease === undefined) return [];
  const wrongName = violationsOf(() => resolveElectionOptions({ leaseName: alsoLease }, environment))
    .filter((violation) => violation.startsWith('leaseName'))
    .map((violation) => violation.replace('leaseName', 'alsoLease'));
  const show = JSON.stringify(alsoLease);
  return [
    ...wrongName,
    ...(alsoLease === leaseName ? [`alsoLease is ${show}, as leaseName is: it must be another Lease`] : []),
    ...(slots === 1
      ? []
      : [`alsoLease is ${show} and slots ${String(slots)}: only an election of one moves`]),
    ...(spread ? [`alsoLease is ${show} and spread true: an election is not shared out while it moves`] : []),
  ];
}

/** Whether this process is fit to lead, if the options ask for that. @throws InvalidOptionsError */
function readinessOf(options: LeaderElectionModuleOptions): Readiness | undefined {
  const { readinessCheck: check, readinessInterval: interval } = options;
  if (check === undefined && interval === undefined) return undefined;
  // An interval alone: that a check is missing is what the class says.
  return new Readiness({ check: check as ReadinessCheck, interval });
}

function violationsOf(make: () => unknown): readonly string[] {
  try {
    make();
    return [];
  } catch (error) {
    if (error instanceof InvalidOptionsError) return error.violations;
    throw error;
  }
}

const byKubeconfig = ['kubeconfigFile', 'context'];
const byAddress = ['server', 'token', 'certificateAuthority'];

function kubernetesViolations(kubernetes: unknown = {}): string[] {
  if (typeof kubernetes !== 'object' || kubernetes === null) {
    return [`kubernetes is ${JSON.stringify(kubernetes)}: it must be an object`];
  }
  const names = Object.keys(kubernetes);
  const fitting = names.includes('server') ? byAddress : byKubeconfig;
  return names
    .filter((name) => !fitting.includes(name))
    .map(
      (name) =>
        `kubernetes.${name} does not fit: give ${byKubeconfig.join(' and ')}, or ${byAddress.join(', ')}; a server must be named`,
    );
}

function noNamespace(election: string, leaseName: string): LeaderError {
  return new LeaderError(
    'LEADER_NO_NAMESPACE',
    `In which namespace to keep the lease '${leaseName}' of the election '${election}' is not known: this process does not run in a pod that could ` +
      `tell its own. Set leaseNamespace, or enabled: false to run without a cluster (this process then always leads).`,
  );
}
