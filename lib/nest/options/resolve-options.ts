import {
  InvalidOptionsError,
  LONGEST_READABLE,
  TEXT,
  Readiness,
  defaultIdentity,
  electionOptionsIn,
  fieldsOf,
  isReadable,
  kindOf,
  knownOptions,
  resolveElectionOptions,
  show,
  withNearest,
  type CampaignChoice,
  type ElectionOptions,
  type MetricsProvider,
  type PriorityOf,
  type ReadinessCheck,
  type TracesProvider,
  type ResolvedElectionOptions,
} from '../../election/internal.js';
import { kubernetesRoom } from '../kubernetes-connections.js';
import {
  clusterViolations,
  flagViolations,
  type ClusterOptions,
  type TakeoverOption,
} from './cluster-options.js';
import { candidateSpec, coordinatedViolations } from './coordinated-option.js';
import { alsoLeaseViolations, leaseNamesIn, slotViolations } from './lease-names.js';
import { lockViolations, type LockOption } from './lock-option.js';
import type { KubernetesOptions, LeaderElectionModuleOptions, TraceOption } from './module-options.js';

/** The options of the module alone; {@link knownOptions} are the others. */
const ofModule: readonly string[] = Object.keys({
  enabled: true,
  campaign: true,
  advertise: true,
  priority: true,
  kubernetes: true,
  lock: true,
  readinessCheck: true,
  readinessInterval: true,
  slots: true,
  alsoLease: true,
  coordinated: true,
  metrics: true,
  traces: true,
  exposeLeader: true,
  trace: true,
  logFields: true,
  events: true,
  leaderPodLabels: true,
  ownerReference: true,
  preflight: true,
  releaseAtExit: true,
  serverClockMargin: true,
  takeover: true,
} satisfies Record<Exclude<keyof LeaderElectionModuleOptions, keyof ElectionOptions>, true>);

/** The names of all options of the module. */
export const optionNames: readonly string[] = [...ofModule, ...knownOptions];

/** The options of one election, checked, with every default filled in. Only the namespace may still be unknown. */
export interface ResolvedModuleOptions {
  /** The options of the election itself; `leaseNamespace` only if it was given. */
  readonly election: Omit<ResolvedElectionOptions, 'leaseNamespace'> & { readonly leaseNamespace?: string };
  readonly enabled: boolean;
  readonly campaign: boolean | CampaignChoice;
  readonly advertise: string | undefined;
  readonly priority: number | PriorityOf | undefined;
  readonly kubernetes: KubernetesOptions;
  readonly lock: LockOption | undefined;
  readonly readiness: Readiness | undefined;
  readonly alsoLease: string | undefined;
  /** The names of its Leases: one, or one for each slot, or `leaseName` and `alsoLease`. */
  readonly leaseNames: readonly string[];
  readonly coordinated: ReturnType<typeof candidateSpec> | undefined;
  readonly metrics: MetricsProvider | undefined;
  readonly traces: TracesProvider | undefined;
  readonly exposeLeader: boolean;
  readonly trace: TraceOption;
  readonly logFields: string | undefined;
  readonly events: boolean;
  readonly leaderPodLabels: Readonly<Record<string, string>>;
  readonly ownerReference: ClusterOptions['ownerReference'];
  readonly preflight: 'warn' | 'fail' | 'off';
  readonly releaseAtExit: boolean;
  readonly serverClockMargin: number | undefined;
  readonly takeover: TakeoverOption;
}

/** Stands for a namespace that is not known yet. */
const UNKNOWN_NAMESPACE = 'unknown';

/**
 * Checks all options and fills in the defaults.
 *
 * @param sharedIdentity the identity of this process in elections whose options contain none.
 * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS`, one error for all rules that are broken.
 */
export async function resolveOptions(
  name: string,
  given: LeaderElectionModuleOptions,
  sharedIdentity: string,
): Promise<ResolvedModuleOptions> {
  const options = asOptions(name, given);
  const source = options.kubernetes;
  const room = source === undefined ? undefined : await kubernetesRoom();
  // The name of a candidate is the identity, and a candidate stands for one lease.
  const identity = options.coordinated === undefined ? sharedIdentity : defaultIdentity();
  const violations = [
    ...noSuchOptions(Object.keys(options).filter((option) => !optionNames.includes(option))),
    ...(['enabled', 'exposeLeader'] as const).flatMap((flag) => flagViolations(flag, options[flag])),
    ...traceViolations(options.trace),
    ...campaignViolations(options.campaign),
    ...advertiseViolations(options.advertise),
    ...logFieldsViolations(options.logFields),
    ...priorityViolations(options),
    ...(room?.sourceViolations(source) ?? []),
    ...slotViolations(options),
    ...alsoLeaseViolations(options),
    ...coordinatedViolations(options),
    ...clusterViolations(options),
    ...lockViolations(options),
    ...metricsViolations(options.metrics),
    ...tracesViolations(options.traces),
  ];
  const readiness = attempt(violations, () => readinessOf(options));
  const election = attempt(violations, () =>
    resolveElectionOptions(electionOptionsIn(options), { leaseNamespace: UNKNOWN_NAMESPACE, identity }),
  );
  if (election === undefined || violations.length > 0)
    throw new InvalidOptionsError(violations, optionsOf(name));
  const { coordinated, leaseNamespace } = options;
  const { leaseNamespace: _, ...resolved } = election;
  return {
    ...withDefaults(options),
    election: { ...resolved, ...(leaseNamespace !== undefined && { leaseNamespace }) },
    // Without undefined fields: otherwise two equal sources would get two connections.
    kubernetes: definedIn(room?.sourceFields(source) ?? {}),
    readiness,
    leaseNames: leaseNamesIn(options),
    coordinated: coordinated && candidateSpec(coordinated),
  };
}

/** The options that need nothing but a default. */
function withDefaults(
  options: CheckedOptions,
): Omit<ResolvedModuleOptions, 'election' | 'kubernetes' | 'readiness' | 'leaseNames' | 'coordinated'> {
  const {
    campaign = true,
    advertise,
    priority,
    lock,
    alsoLease,
    metrics,
    traces,
    ownerReference,
    serverClockMargin,
  } = options;
  const { enabled = true, exposeLeader = true, trace = false, logFields, preflight = 'warn' } = options;
  const {
    events = false,
    leaderPodLabels = {},
    releaseAtExit = true,
    takeover = 'sameContainer',
    // A process that never leads needs nothing that is for a holder.
  }: typeof options = campaign === false ? { ...options, ...FOR_FOLLOWERS } : options;
  return {
    enabled,
    campaign,
    advertise,
    priority,
    lock,
    alsoLease,
    metrics,
    traces,
    exposeLeader,
    trace,
    logFields,
    events,
    leaderPodLabels,
    ownerReference,
    preflight,
    releaseAtExit,
    serverClockMargin,
    takeover,
  };
}

const FOR_FOLLOWERS = {
  events: false,
  leaderPodLabels: {},
  releaseAtExit: false,
  takeover: 'expiry',
} as const;

/**
 * The options of the election itself, in the namespace of its Lease.
 *
 * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` for a namespace that no Lease can have.
 */
export function inNamespace(
  name: string,
  { election }: ResolvedModuleOptions,
  leaseNamespace: string,
): ResolvedElectionOptions {
  const violations: string[] = [];
  const resolved = attempt(violations, () =>
    resolveElectionOptions({ ...election, leaseNamespace }, { leaseNamespace, identity: election.identity }),
  );
  if (resolved === undefined) throw new InvalidOptionsError(violations, optionsOf(name));
  return resolved;
}

/** The options as they are checked: with the defaults that the rules of other options need. */
type CheckedOptions = LeaderElectionModuleOptions & { readonly slots: number; readonly spread: boolean };

/** A copy of the options, with some defaults. @throws InvalidOptionsError if they are not an object. */
function asOptions(name: string, options: unknown): CheckedOptions {
  const given = fieldsOf(options, optionNames);
  // Its fields are unchecked: resolveOptions reports what is wrong with them.
  if (given !== undefined) {
    const { slots = 1, spread = false } = given;
    return { ...given, slots, spread } as unknown as CheckedOptions;
  }
  const violation = `the options are ${kindOf(options)}: they must be an object with a leaseName`;
  throw new InvalidOptionsError([violation], optionsOf(name));
}

/** The readiness of this process, if the options contain a check. @throws InvalidOptionsError */
function readinessOf(options: LeaderElectionModuleOptions): Readiness | undefined {
  const { readinessCheck: check, readinessInterval: interval } = options;
  if (check === undefined && interval === undefined) return undefined;
  // An interval without a check: the class reports that the check is missing.
  return new Readiness({ check: check as ReadinessCheck, interval });
}

function campaignViolations(campaign: unknown): string[] {
  const fits = campaign === undefined || typeof campaign === 'boolean' || typeof campaign === 'function';
  const rule = 'it must be true or false, or a function that returns one of them';
  return fits ? [] : [`campaign is ${show(campaign)}: ${rule}`];
}

function traceViolations(trace: unknown): string[] {
  if (trace === undefined || typeof trace === 'boolean' || trace === 'json') return [];
  return [`trace is ${show(trace)}: it must be true, false or 'json'`];
}

function logFieldsViolations(key: unknown): string[] {
  const [fits, rule] = TEXT;
  return key === undefined || fits(key) ? [] : [`logFields is ${show(key)}: ${rule}`];
}

function advertiseViolations(advertise: unknown): string[] {
  const fits = typeof advertise === 'string' && advertise.trim() !== '' && isReadable(advertise);
  const rule =
    `it must be a non-empty string of at most ${String(LONGEST_READABLE)} characters, without line breaks, control ` +
    `characters or invisible characters`;
  return advertise === undefined || fits ? [] : [`advertise is ${show(advertise)}: ${rule}`];
}

/** Only a holder of one lease can be asked for it, and only for one reason. */
function priorityViolations({ priority, slots, spread, alsoLease, coordinated }: CheckedOptions): string[] {
  if (priority === undefined) return [];
  const shown = `priority is ${show(priority)}`;
  const fits = typeof priority === 'function' || Number.isFinite(priority);
  return [
    ...(fits ? [] : [`${shown}: it must be a finite number, or a function that returns one`]),
    ...(slots === 1 ? [] : [`${shown} and slots ${show(slots)}: each replica leads a slot anyway`]),
    ...(spread ? [`${shown} and spread true: an election is moved either to even out, or by priority`] : []),
    ...(alsoLease === undefined ? [] : [`${shown} and alsoLease ${show(alsoLease)}: add it after the move`]),
    ...(coordinated === undefined ? [] : [`${shown} and coordinated: the API server chooses the leader`]),
  ];
}

export function optionsOf(election: string): string {
  return `The options of the election '${election}'`;
}

/** The list of options is long, so it is shown once, however many unknown options there are. */
function noSuchOptions(given: readonly string[]): string[] {
  const misplaced = given.filter(isMisplaced);
  const unknown = given
    .filter((option) => !isMisplaced(option))
    .map((option) => withNearest(option, optionNames))
    .join(', ');
  return [
    ...misplaced.map(
      (option) =>
        `${option}: it must be given beside useFactory, useClass or useExisting, not in the options that they return`,
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

/** What `make` returns. The rules that it finds broken are added to `violations`; then undefined. */
function attempt<T>(violations: string[], make: () => T): T | undefined {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof InvalidOptionsError)) throw error;
    violations.push(...error.violations);
    return undefined;
  }
}

/** The rule for the option `metrics`. */
export const METRICS_RULE =
  'it must be what prometheusMetrics() of nestjs-leader/metrics or openTelemetryMetrics() of nestjs-leader/opentelemetry ' +
  'returns, or another object with a function meter()';

/** Whether `value` provides meters. */
export function isMetricsProvider(value: unknown): value is MetricsProvider {
  try {
    return typeof (value as Partial<MetricsProvider> | null | undefined)?.meter === 'function';
  } catch {
    return false;
  }
}

/** The rules that the option `metrics` breaks. */
function metricsViolations(value: unknown): string[] {
  if (value === undefined || isMetricsProvider(value)) return [];
  // The value itself is not shown: it may be a registry, which is large.
  return [`metrics is ${kindOf(value)}: ${METRICS_RULE}`];
}

/** The rule for the option `traces`. */
export const TRACES_RULE =
  'it must be what openTelemetryTraces() of nestjs-leader/opentelemetry returns, or another object with a function tracer()';

/** Whether `value` provides tracers. */
export function isTracesProvider(value: unknown): value is TracesProvider {
  try {
    return typeof (value as Partial<TracesProvider> | null | undefined)?.tracer === 'function';
  } catch {
    return false;
  }
}

/** The rules that the option `traces` breaks. */
function tracesViolations(value: unknown): string[] {
  return value === undefined || isTracesProvider(value) ? [] : [`traces is ${kindOf(value)}: ${TRACES_RULE}`];
}

function definedIn(fields: Readonly<Record<string, unknown>>): KubernetesOptions {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
