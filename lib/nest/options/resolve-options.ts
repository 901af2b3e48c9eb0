/** The options of a module, checked as a whole: one error tells of every rule that they break. */
import {
  InvalidOptionsError,
  Readiness,
  resolveElectionOptions,
  type ElectionEnvironment,
  type ElectionOptions,
  type ReadinessCheck,
  type ResolvedElectionOptions,
} from '../../election/index.js';
import { clusterViolations } from './cluster-options.js';
import { coordinatedViolations } from './coordinated-option.js';
import { metricsViolations } from './metrics-option.js';
import type { LeaderElectionModuleOptions } from './module-options.js';

const optionNames: readonly string[] = Object.keys({
  enabled: true,
  kubernetes: true,
  readinessCheck: true,
  readinessInterval: true,
  slots: true,
  alsoLease: true,
  coordinated: true,
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

/** What was given, if it can be looked into. @throws InvalidOptionsError */
export function asOptions(name: string, options: unknown): LeaderElectionModuleOptions {
  if (typeof options === 'object' && options !== null) return options as LeaderElectionModuleOptions;
  const violation = `the options are ${options === null ? 'null' : typeof options}: they must be an object with a leaseName`;
  throw new InvalidOptionsError([violation], optionsOf(name));
}

/** The options of the election itself, if all keep their rules. @throws InvalidOptionsError */
export function resolveOptions(
  name: string,
  options: LeaderElectionModuleOptions,
  environment: ElectionEnvironment,
): ResolvedElectionOptions {
  const { enabled, kubernetes, readinessCheck: _, readinessInterval: __, slots, ...others } = options;
  const { events, leaderPodLabels, ownerReference, preflight, alsoLease, metrics, ...more } = others;
  const { coordinated: ___, ...rest } = more;
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
    ...coordinatedViolations(options),
    ...clusterViolations({ events, leaderPodLabels, ownerReference, preflight }),
    ...metricsViolations(metrics),
    ...violationsOf(() => readinessOf(options)),
    ...violationsOf(resolved),
  ];
  if (violations.length > 0) throw new InvalidOptionsError(violations, optionsOf(name));
  return resolved();
}

/** Whether this process is fit to lead, if the options ask for that. @throws InvalidOptionsError */
export function readinessOf(options: LeaderElectionModuleOptions): Readiness | undefined {
  const { readinessCheck: check, readinessInterval: interval } = options;
  if (check === undefined && interval === undefined) return undefined;
  // An interval alone: that a check is missing is what the class says.
  return new Readiness({ check: check as ReadinessCheck, interval });
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
