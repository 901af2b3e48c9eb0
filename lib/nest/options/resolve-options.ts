import {
  InvalidOptionsError,
  Readiness,
  fieldsOf,
  kindOf,
  resolveElectionOptions,
  show,
  slotLeaseName,
  type ElectionEnvironment,
  type ReadinessCheck,
  type ResolvedElectionOptions,
} from '../../election/index.js';
import { clusterViolations } from './cluster-options.js';
import { coordinatedViolations } from './coordinated-option.js';
import { metricsViolations } from './metrics-option.js';
import type { LeaderElectionModuleOptions } from './module-options.js';
import { electionOptionsIn, optionNames } from './option-names.js';

/** A copy of the options. @throws InvalidOptionsError if they are not an object. */
export function asOptions(name: string, options: unknown): LeaderElectionModuleOptions {
  const given = fieldsOf(options, optionNames);
  // Its fields are unchecked: resolveOptions reports what is wrong with them.
  if (given !== undefined) return given as unknown as LeaderElectionModuleOptions;
  const violation = `the options are ${kindOf(options)}: they must be an object with a leaseName`;
  throw new InvalidOptionsError([violation], optionsOf(name));
}

/**
 * Checks all options and returns those of the election itself.
 *
 * @param ofKubernetes the rules that the option `kubernetes` breaks, which only lib/kubernetes knows.
 * @throws InvalidOptionsError one error for all rules that are broken.
 */
export function resolveOptions(
  name: string,
  options: LeaderElectionModuleOptions,
  environment: ElectionEnvironment,
  ofKubernetes: readonly string[],
): ResolvedElectionOptions {
  const resolved = (): ResolvedElectionOptions =>
    resolveElectionOptions(electionOptionsIn(options), environment);
  const violations = [
    ...noSuchOptions(Object.keys(options).filter((given) => !optionNames.includes(given))),
    ...flagViolations('enabled', options.enabled),
    ...flagViolations('exposeLeader', options.exposeLeader),
    ...flagViolations('trace', options.trace),
    ...ofKubernetes,
    ...slotViolations(options),
    ...alsoLeaseViolations(options, environment),
    ...coordinatedViolations(options),
    ...clusterViolations(options),
    ...metricsViolations(options.metrics),
    ...violationsOf(() => readinessOf(options)),
    ...violationsOf(resolved),
  ];
  if (violations.length > 0) throw new InvalidOptionsError(violations, optionsOf(name));
  return resolved();
}

/** The readiness of this process, if the options contain a check. @throws InvalidOptionsError */
export function readinessOf(options: LeaderElectionModuleOptions): Readiness | undefined {
  const { readinessCheck: check, readinessInterval: interval } = options;
  if (check === undefined && interval === undefined) return undefined;
  // An interval without a check: the class reports that the check is missing.
  return new Readiness({ check: check as ReadinessCheck, interval });
}

function optionsOf(election: string): string {
  return `The options of the election '${election}'`;
}

/** The list of options is long, so it is shown once, however many unknown options there are. */
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

/** Options that a factory must not contain: they are needed before it runs. */
function isMisplaced(option: string): boolean {
  return option === 'name' || option === 'isGlobal';
}

function flagViolations(name: string, value: unknown): string[] {
  if (value === undefined || typeof value === 'boolean') return [];
  return [`${name} is ${show(value)}: it must be true or false`];
}

/** The limit of slots: every replica watches the Lease of every slot, each on a connection of its own. */
const MOST_SLOTS = 256;
const LONGEST_NAME = 253;

function slotViolations(options: LeaderElectionModuleOptions): string[] {
  const { slots, spread, leaseName }: Readonly<Record<string, unknown>> = { ...options };
  if (slots === undefined) return [];
  if (typeof slots !== 'number' || !Number.isInteger(slots) || slots < 1)
    return [`slots is ${show(slots)}: it must be a whole number, at least 1`];
  if (slots > MOST_SLOTS)
    return [
      `slots is ${show(slots)}: it must be at most ${String(MOST_SLOTS)}, because every replica watches the Lease of ` +
        `every slot; share more out as elections with spread`,
    ];
  if (slots > 1 && spread === true)
    return [`slots is ${String(slots)} and spread true: slots are shared out anyway, one to a replica`];
  const last = typeof leaseName === 'string' && slots > 1 ? slotLeaseName(leaseName, slots - 1) : '';
  if (last.length <= LONGEST_NAME) return [];
  return [
    `leaseName is ${show(leaseName)} and slots ${String(slots)}: with the slot's number behind it, as in ` +
      `leaseName-${String(slots - 1)}, it must still be at most ${String(LONGEST_NAME)} characters`,
  ];
}

/** The name of another Lease, by the rules of `leaseName`. An election that has several Leases already cannot be moved. */
function alsoLeaseViolations(
  { alsoLease, leaseName, slots = 1, spread = false }: LeaderElectionModuleOptions,
  environment: ElectionEnvironment,
): string[] {
  if (alsoLease === undefined) return [];
  const wrongName = violationsOf(() => resolveElectionOptions({ leaseName: alsoLease }, environment))
    .filter((violation) => violation.startsWith('leaseName is'))
    .map((violation) => violation.replace('leaseName', 'alsoLease'));
  const shown = show(alsoLease);
  return [
    ...wrongName,
    ...(alsoLease === leaseName ? [`alsoLease is ${shown}, as leaseName is: it must be another Lease`] : []),
    ...(slots === 1 ? [] : [`alsoLease is ${shown} and slots ${show(slots)}: only an election of one moves`]),
    ...(spread
      ? [`alsoLease is ${shown} and spread true: an election is not shared out while it moves`]
      : []),
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
