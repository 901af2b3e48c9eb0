import {
  InvalidOptionsError,
  LeaderError,
  LeaseElector,
  Readiness,
  SlotElector,
  StaticElector,
  defaultIdentity,
  resolveElectionOptions,
  slotLeaseName,
  type ElectionEnvironment,
  type ElectionOptions,
  type Elector,
  type LeaseLock,
  type ReadinessCheck,
  type ResolvedElectionOptions,
} from '../election/index.js';
import { coordinatedViolations } from './coordinated-violations.js';
import type { ElectionGroup } from './election-group.js';
import type { KubernetesConnections } from './kubernetes-connections.js';
import type { LeaderElectionModuleOptions } from './module-options.js';

/**
 * The elector that the options of the election of that name ask for. Nothing is asked of the API server yet.
 *
 * @throws LeaderError `LEADER_INVALID_OPTIONS`, `LEADER_NO_NAMESPACE`: mistakes that no retry mends.
 */
export async function createElector(
  name: string,
  options: LeaderElectionModuleOptions,
  connections: KubernetesConnections,
  group: ElectionGroup,
): Promise<Elector> {
  const { enabled = true, kubernetes = {}, slots = 1, coordinated, ...election } = asObject(name, options);
  // A candidate stands for one lease, and is called after the identity.
  const identity = election.identity ?? (coordinated === undefined ? group.identity : defaultIdentity());
  if (!enabled) {
    const { leaseName, drainTimeout } = resolve(name, options, { leaseNamespace: 'none', identity });
    return new StaticElector({ role: 'leader', leaseName, identity, drainTimeout });
  }
  const { KubernetesConnection, KubernetesLeaseLock, LeaseCandidateKeeper, podNamespace } =
    await import('../kubernetes/index.js');
  const leaseNamespace = election.leaseNamespace ?? podNamespace();
  if (leaseNamespace === undefined) throw noNamespace(name, election.leaseName);
  const resolved = resolve(name, options, { leaseNamespace, identity });
  const connection = connections.share(kubernetes, () => new KubernetesConnection(kubernetes));
  const { leaseName, labels, retryPeriod } = resolved;
  const lockOf = (lease: string): LeaseLock =>
    new KubernetesLeaseLock(connection, { name: lease, namespace: leaseNamespace, labels });
  const parts = { options: resolved, candidacy: readinessOf(options) };
  if (coordinated !== undefined) {
    const {
      binaryVersion,
      emulationVersion = binaryVersion,
      strategy = 'OldestEmulationVersion',
    } = coordinated;
    const lock = lockOf(leaseName);
    const coordination = new LeaseCandidateKeeper({
      connection,
      lock,
      lease: { name: leaseName, namespace: leaseNamespace, labels },
      identity,
      spec: { binaryVersion, emulationVersion, strategy },
      retryPeriod,
    });
    return new LeaseElector({ ...parts, lock, coordination });
  }
  if (slots === 1) return new LeaseElector({ ...parts, lock: lockOf(leaseName) });
  const locks = Array.from({ length: slots }, (_, slot) => lockOf(slotLeaseName(leaseName, slot)));
  return new SlotElector({ ...parts, locks });
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
  coordinated: true,
  leaseName: true,
  leaseNamespace: true,
  identity: true,
  leaseDuration: true,
  renewDeadline: true,
  retryPeriod: true,
  renewInterval: true,
  releaseOnCancel: true,
  drainTimeout: true,
  termLimit: true,
  lockDelay: true,
  reclaimOwnLease: true,
  labels: true,
  spread: true,
  onLost: true,
} satisfies Record<keyof LeaderElectionModuleOptions, true>);

/** One error for the module's options and the election's. */
function resolve(
  name: string,
  options: LeaderElectionModuleOptions,
  environment: ElectionEnvironment,
): ResolvedElectionOptions {
  const {
    enabled,
    kubernetes,
    readinessCheck: _,
    readinessInterval: __,
    slots,
    coordinated: ___,
    ...rest
  } = options;
  const election = Object.fromEntries(Object.entries(rest).filter(([given]) => optionNames.includes(given)));
  // Whatever was given goes there: telling what is wrong with it is what that function is for.
  const resolved = (): ResolvedElectionOptions =>
    resolveElectionOptions(election as unknown as ElectionOptions, environment);
  const violations = [
    ...Object.keys(rest)
      .filter((given) => !optionNames.includes(given))
      .map(noSuchOption),
    ...enabledViolations(enabled),
    ...kubernetesViolations(kubernetes),
    ...slotViolations(slots, rest.spread),
    ...coordinatedViolations(options),
    ...violationsOf(() => readinessOf(options)),
    ...violationsOf(resolved),
  ];
  if (violations.length > 0) throw new InvalidOptionsError(violations, optionsOf(name));
  return resolved();
}

function optionsOf(election: string): string {
  return `The options of the election '${election}'`;
}

function noSuchOption(given: string): string {
  // A factory is asked too late for these.
  if (given === 'name' || given === 'isGlobal')
    return `${given}: it must stand beside useFactory, useClass or useExisting, not in what they make`;
  return `${given}: there is no such option; the options are ${optionNames.join(', ')}`;
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
