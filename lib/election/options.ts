/** The options of an election, their defaults and rules; and the checks and error texts for options of any kind. */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { inspect } from 'node:util';
import { InvalidOptionsError, LONGEST_READABLE, isReadable } from './errors.js';

/** The options of an election as given by a user. Times are milliseconds; the names are those of Kubernetes. */
export interface ElectionOptions {
  /** Name of the Lease. RFC 1123 subdomain, at most 253 characters. Required. */
  leaseName: string;
  /** Namespace of the Lease. RFC 1123 label, at most 63 characters. Default in a module: `POD_NAMESPACE`, the pod's, or that of the kubeconfig's context. */
  leaseNamespace?: string | undefined;
  /**
   * The name of this process in the election, unique to it. Default: `<hostname>_<uuid>`. Two processes with one name never
   * lead together, but nobody can tell which of them leads. At most 300 printable characters.
   */
  identity?: string | undefined;
  /**
   * Values for `leaseDuration`, `renewDeadline` and `retryPeriod` together, in place of them: `fast` (3, 2 and 0.5 s), `standard`
   * (15, 10 and 2 s), or `patient` (137, 107 and 26 s), which outlasts an API server that is away for a minute.
   * Default `standard`.
   */
  timing?: Timing | undefined;
  /**
   * How long other candidates wait after the last renewal they saw before they take over. Whole seconds, at least 1000.
   * Default 15000.
   */
  leaseDuration?: number | undefined;
  /**
   * How long a term is certain, counted from the sending of the last successful write; then it ends by itself. Default 10000.
   * Work has `leaseDuration` − `renewDeadline` to stop before anybody else may lead, and the clocks of two machines may
   * differ in rate by the factor `leaseDuration` ÷ `renewDeadline`.
   */
  renewDeadline?: number | undefined;
  /** The time without success after which a request is sent again. Default 2000. */
  retryPeriod?: number | undefined;
  /**
   * A follower's retries, and its polls without permission to watch, are delayed by a random time of up to this many times
   * `retryPeriod`, to spread many followers. 0 to 1.2. Default 0.2. It delays neither a leader's requests nor a hand-over
   * that is watched.
   */
  jitterFactor?: number | undefined;
  /** The time from the sending of one renewal to the next. Default: a third of `renewDeadline`. */
  renewInterval?: number | undefined;
  /** Release the lease when the elector stops. Default true; false lets it expire. */
  releaseOnCancel?: boolean | undefined;
  /**
   * How long a hand-over waits for running work before it reports an error, and how long after a lost term this process does
   * not campaign while work of that term still runs. Default 20000, within Kubernetes' grace period of 30 s.
   */
  drainTimeout?: number | undefined;
  /** The time after which a term is handed over, so that others may lead. Default 0: never. */
  termLimit?: number | undefined;
  /**
   * How much longer to wait before taking over from a holder that crashed, for work that stops late and for statements that it has
   * already sent: its lease has expired, its process has exited or is proven dead, or its Lease was deleted. Not applied after a
   * hand-over. Default 0.
   */
  lockDelay?: number | undefined;
  /**
   * Take over at once a lease that has this process' identity but was written by another process: a StatefulSet pod that
   * was killed and restarted under its name need not wait. Safe only if no two processes ever have the same identity at the
   * same time. Default false.
   */
  reclaimOwnLease?: boolean | undefined;
  /** Labels for the Lease, set when it is created and restored when missing. Other labels are kept. */
  labels?: Readonly<Record<string, string>> | undefined;
  /**
   * Spread elections over processes: hand over to a process that asks for this lease because it leads fewer elections.
   * Counted are the elections with `spread`, by `identity`. Default false.
   */
  spread?: boolean | undefined;
  /**
   * What to do when a term is lost (not when it is handed over): `campaign` again, the default, or `exit`: the elector stops,
   * and the NestJS module exits the process with code 1, as is common with client-go.
   */
  onLost?: 'campaign' | 'exit' | undefined;
}

/** The name of a choice of three times. */
export type Timing = 'fast' | 'standard' | 'patient';

/** Options with all defaults filled in and all rules checked. */
export type ResolvedElectionOptions = Readonly<{
  leaseName: string;
  leaseNamespace: string;
  identity: string;
  leaseDuration: number;
  renewDeadline: number;
  retryPeriod: number;
  jitterFactor: number;
  renewInterval: number;
  releaseOnCancel: boolean;
  drainTimeout: number;
  termLimit: number;
  lockDelay: number;
  reclaimOwnLease: boolean;
  labels: Readonly<Record<string, string>>;
  spread: boolean;
  onLost: 'campaign' | 'exit';
}>;

/** The options whose defaults depend on where the process runs. */
export interface ElectionEnvironment {
  readonly leaseNamespace: string;
  readonly identity: string;
}

/** client-go's JitterFactor, which is part of its rule for renewDeadline and retryPeriod. */
const RETRY_MARGIN = 1.2;

/** Milliseconds. `patient` has the times that OpenShift gives its own controllers. */
export const TIMINGS = {
  fast: { leaseDuration: 3_000, renewDeadline: 2_000, retryPeriod: 500 },
  standard: { leaseDuration: 15_000, renewDeadline: 10_000, retryPeriod: 2_000 },
  patient: { leaseDuration: 137_000, renewDeadline: 107_000, retryPeriod: 26_000 },
} as const satisfies Record<Timing, Partial<ResolvedElectionOptions>>;

/** The defaults that other electors and the watchdog share with an election. Milliseconds. */
export const DEFAULTS = {
  ...TIMINGS.standard,
  drainTimeout: 20_000,
  termLimit: 0,
} as const;
/** `leaseDurationSeconds` is an int32. */
const LONGEST_LEASE = (2 ** 31 - 1) * 1_000;

/** The names of all options of an election. */
export const knownOptions: readonly string[] = Object.keys({
  leaseName: true,
  leaseNamespace: true,
  identity: true,
  timing: true,
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
} satisfies Record<keyof ElectionOptions, true>);

/** The options of the election itself, unchecked: the election checks them. */
export function electionOptionsIn(options: object): ElectionOptions {
  const given = Object.entries(options).filter(([name]) => knownOptions.includes(name));
  // Object.fromEntries() forgets the names.
  return Object.fromEntries(given) as unknown as ElectionOptions;
}

/**
 * Fills in the defaults and checks all rules.
 *
 * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS`, one error that lists every broken rule with the value seen. An unknown
 * option breaks a rule, too.
 */
export function resolveElectionOptions(
  options: ElectionOptions,
  environment: ElectionEnvironment,
): ResolvedElectionOptions {
  const fields = fieldsOf(options);
  if (fields === undefined)
    throw new InvalidOptionsError([
      `the options are ${kindOf(options)}: they must be an object with a leaseName`,
    ]);
  const { timing, ...given } = Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  );
  const times = isTiming(timing) ? TIMINGS[timing] : TIMINGS.standard;
  const { renewDeadline = times.renewDeadline } = given;
  const resolved: ResolvedElectionOptions = {
    ...environment,
    ...DEFAULTS,
    ...times,
    jitterFactor: 0.2,
    // An invalid renewDeadline is reported below.
    renewInterval: (isDuration(renewDeadline) ? renewDeadline : times.renewDeadline) / 3,
    releaseOnCancel: true,
    lockDelay: 0,
    reclaimOwnLease: false,
    labels: {},
    spread: false,
    onLost: 'campaign',
    ...(given as Partial<ResolvedElectionOptions> & { leaseName: string }),
  };
  const conflicts = timingViolations(timing, given);
  const violations = [
    ...unknownNames(given),
    ...names(resolved),
    ...kinds(resolved),
    ...conflicts,
    ...durations(resolved),
    // Until it is known which times are meant, nothing can be said about their relations.
    ...(conflicts.length === 0 ? relations(resolved) : []),
  ];
  if (violations.length > 0) throw new InvalidOptionsError(violations);
  return Object.freeze(resolved);
}

function unknownNames(given: Record<string, unknown>): string[] {
  return Object.keys(given)
    .filter((name) => !knownOptions.includes(name))
    .map(
      (name) =>
        `${withNearest(name, knownOptions)}: there is no such option; the options are ${knownOptions.join(', ')}`,
    );
}

/**
 * An unknown name for a message, with the known name that is most like it, if any is: `takeOver (did you mean takeover?)`.
 *
 * @param prefix what all names begin with, left out of `name` and `known`.
 */
export function withNearest(name: string, known: readonly string[], prefix = ''): string {
  const near = known
    // A name that is much longer is no misspelling, and comparing takes time.
    .filter((other) => Math.abs(other.length - name.length) <= other.length / 3)
    .map((other) => ({ other, edits: distance(name.toLowerCase(), other.toLowerCase()) }))
    .filter(({ other, edits }) => edits <= other.length / 3)
    .sort((a, b) => a.edits - b.edits);
  const also = near[0] && ` (did you mean ${prefix}${near[0].other}?)`;
  return `${prefix}${name}${also ?? ''}`;
}

/** How many characters have to be inserted, deleted or replaced to make `b` from `a`. */
function distance(a: string, b: string): number {
  let cost = b.length;
  // For each beginning of `b` but the empty one, what it costs to make it from the beginning of `a` so far.
  let costs = Array.from({ length: b.length }, (_, at) => at + 1);
  for (const [index, letter] of a.split('').entries()) {
    // The cost without the last letter of either.
    let withoutBoth = index;
    cost = index + 1;
    costs = costs.map((before, at) => {
      cost = Math.min(withoutBoth + Number(letter !== b[at]), before + 1, cost + 1);
      withoutBoth = before;
      return cost;
    });
  }
  return cost;
}

const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

function names({ leaseName, leaseNamespace, identity, labels }: ResolvedElectionOptions): string[] {
  const violations = leaseNameViolations('leaseName', leaseName);
  if (typeof leaseNamespace !== 'string' || leaseNamespace.length > 63 || !label.test(leaseNamespace)) {
    violations.push(
      `leaseNamespace is ${show(leaseNamespace)}: it must be an RFC 1123 label (lower-case letters, digits ` +
        `and '-', at most 63 characters)`,
    );
  }
  if (typeof identity !== 'string' || identity.trim() === '' || !isReadable(identity)) {
    violations.push(
      `identity is ${show(identity)}: it must be a non-empty string of at most ${String(LONGEST_READABLE)} characters, ` +
        `without line breaks, control characters or invisible characters`,
    );
  }
  return [...violations, ...labelViolations('labels', labels)];
}

function kinds(options: ResolvedElectionOptions): string[] {
  const violations: string[] = [];
  if (!isDuration(options.jitterFactor) || options.jitterFactor > RETRY_MARGIN)
    violations.push(
      `jitterFactor is ${show(options.jitterFactor)}: it must be a number from 0 to ${String(RETRY_MARGIN)}`,
    );
  for (const name of ['releaseOnCancel', 'reclaimOwnLease', 'spread'] as const) {
    if (typeof options[name] !== 'boolean') {
      violations.push(`${name} is ${show(options[name])}: it must be true or false`);
    }
  }
  if (!['campaign', 'exit'].includes(options.onLost)) {
    violations.push(`onLost is ${show(options.onLost)}: it must be 'campaign' or 'exit'`);
  }
  return violations;
}

function isTiming(value: unknown): value is Timing {
  return typeof value === 'string' && Object.hasOwn(TIMINGS, value);
}

/** One of the three times beside `timing` would break what its name promises. */
function timingViolations(timing: unknown, given: Record<string, unknown>): string[] {
  if (timing === undefined) return [];
  if (!isTiming(timing)) return [`timing is ${show(timing)}: it must be 'fast', 'standard' or 'patient'`];
  return Object.keys(TIMINGS[timing])
    .filter((name) => given[name] !== undefined)
    .map(
      (name) =>
        `${name} is ${show(given[name])} and timing '${timing}': give either timing, or leaseDuration, renewDeadline and retryPeriod`,
    );
}

function durations(options: ResolvedElectionOptions): string[] {
  const rule = (bound: string) => (name: keyof ResolvedElectionOptions) =>
    `${name} is ${show(options[name])}: it must be a number of milliseconds${bound}`;
  return [
    ...(['leaseDuration', 'renewDeadline', 'retryPeriod', 'renewInterval'] as const)
      .filter((name) => !isDuration(options[name]) || options[name] === 0)
      .map(rule(' above 0')),
    ...(['drainTimeout', 'termLimit', 'lockDelay'] as const)
      .filter((name) => !isDuration(options[name]))
      .map(rule(', 0 or more')),
  ];
}

/** The rules about several times, and about `leaseDuration` as a Lease stores it. */
function relations({
  leaseDuration,
  renewDeadline,
  retryPeriod,
  renewInterval,
}: ResolvedElectionOptions): string[] {
  if (![leaseDuration, renewDeadline, retryPeriod, renewInterval].every(isDuration)) return [];
  const rules: [boolean, string][] = [
    [
      leaseDuration <= LONGEST_LEASE,
      `leaseDuration is ${show(leaseDuration)}: it must be at most ${String(LONGEST_LEASE)}, because a Lease ` +
        `stores seconds as an int32`,
    ],
    [
      leaseDuration >= 1000 && leaseDuration % 1000 === 0,
      `leaseDuration is ${show(leaseDuration)}: it must be a whole number of seconds, at least 1000, because ` +
        `a Lease stores whole seconds`,
    ],
    [
      leaseDuration > renewDeadline,
      `leaseDuration is ${show(leaseDuration)} and renewDeadline ${show(renewDeadline)}: leaseDuration must ` +
        `be larger, or two processes may lead at once`,
    ],
    [
      renewDeadline > RETRY_MARGIN * retryPeriod,
      `renewDeadline is ${show(renewDeadline)} and retryPeriod ${show(retryPeriod)}: renewDeadline must be ` +
        `larger than 1.2 × retryPeriod`,
    ],
    [
      renewInterval + retryPeriod < renewDeadline,
      `renewInterval is ${show(renewInterval)}, retryPeriod ${show(retryPeriod)} and renewDeadline ` +
        `${show(renewDeadline)}: renewInterval + retryPeriod must be smaller than renewDeadline, so that one ` +
        `failed renewal does not cost the term`,
    ],
  ];
  return rules.filter(([kept]) => !kept).map(([, text]) => text);
}

// Values in error texts. They may be of any kind, so nothing here throws, and the text is one short line.

const LONGEST_SHOWN = 80;
const UNREADABLE = 'an object that cannot be inspected';
const BRIEFLY = {
  depth: 0,
  maxStringLength: 50,
  maxArrayLength: 5,
  breakLength: Infinity,
  // An application's own inspect function may print a lot, or a secret.
  customInspect: false,
};

/** The value itself, in about 80 characters at most. Use {@link kindOf} for values that may be secret. */
export function show(value: unknown): string {
  if (value === undefined) return 'missing';
  if (typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}`;
  try {
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    if (isObject && !isPlain(value)) return kindOf(value);
    const shown = inspect(isObject ? { ...value } : value, BRIEFLY);
    return shown.length > LONGEST_SHOWN ? `${shown.slice(0, LONGEST_SHOWN)}…` : shown;
  } catch {
    return UNREADABLE;
  }
}

/** The kind of a value, without its content: `missing`, `string`, `null`, `an array`, `a Map`. */
export function kindOf(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null || typeof value !== 'object') return value === null ? 'null' : typeof value;
  try {
    if (Array.isArray(value)) return 'an array';
    if (isPlain(value)) return 'an object';
    const { name } = value.constructor;
    return /^\w{1,40}$/.test(name) ? `a ${name}` : 'an object';
  } catch {
    return UNREADABLE;
  }
}

/**
 * A copy of an object's fields. Undefined for anything else: null, an array, a Map, a Date.
 *
 * @param known the inherited fields to copy as well, such as getters of a class. Other inherited fields are not copied.
 */
export function fieldsOf(
  value: unknown,
  known: readonly string[] = [],
): Readonly<Record<string, unknown>> | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  try {
    if (Object.prototype.toString.call(value) !== '[object Object]') return undefined;
    const inherited = known.filter((name) => name in value && !Object.hasOwn(value, name));
    return { ...value, ...Object.fromEntries(inherited.map((name) => [name, Reflect.get(value, name)])) };
  } catch {
    return undefined;
  }
}

/** Whether `value` is a number of milliseconds, 0 or more. */
export function isDuration(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

/** Whether it was created by `{}`, in any realm, or without a prototype. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

// Options of functions

/** Whether a value is valid, the rule in words (`it must be …`), and how to show a value that breaks it. */
export type OptionRule = readonly [
  fits: (value: unknown) => boolean,
  rule: string,
  shown?: (value: unknown) => string,
];

/** A number of milliseconds. */
export const DURATION: OptionRule = [isDuration, 'it must be a number of milliseconds, 0 or more'];

/** A non-empty string. */
export const TEXT: OptionRule = [
  (value) => typeof value === 'string' && value.trim() !== '',
  'it must be a non-empty string',
];

/**
 * Checks each option against its rule. An option that is undefined has its default and is valid.
 *
 * @param whose the subject of the error: `The options of stepDown()`.
 * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS`, one error that lists every broken rule. An option without a rule
 * breaks one, too.
 */
export function refuseInvalid(
  whose: string,
  options: unknown,
  rules: Readonly<Record<string, OptionRule>>,
): void {
  const given = fieldsOf(options, Object.keys(rules));
  const violations =
    given === undefined
      ? [`they are ${kindOf(options)}: they must be an object`]
      : Object.entries(given).flatMap(([name, value]) => violationOf(name, value, rules));
  if (violations.length > 0) throw new InvalidOptionsError(violations, whose);
}

function violationOf(name: string, value: unknown, rules: Readonly<Record<string, OptionRule>>): string[] {
  const known = Object.hasOwn(rules, name) ? rules[name] : undefined;
  if (known === undefined)
    return [`${name}: there is no such option; the options are ${Object.keys(rules).join(', ')}`];
  const [fits, rule, shown = show] = known;
  return value === undefined || fits(value) ? [] : [`${name} is ${shown(value)}: ${rule}`];
}

// Kubernetes' rules for names and labels

const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const labelValue = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;

/** Whether `name` is an RFC 1123 subdomain of at most 253 characters. */
export function isSubdomain(name: string): boolean {
  return name.length <= 253 && subdomain.test(name);
}

/** The rules that `name`, the value of the option named `option`, breaks as the name of a Lease. */
export function leaseNameViolations(option: string, name: unknown): string[] {
  if (typeof name === 'string' && isSubdomain(name)) return [];
  return [
    `${option} is ${show(name)}: it must be an RFC 1123 subdomain (lower-case letters, digits, '-' and ` +
      `'.', at most 253 characters)`,
  ];
}

/** The rules that `labels`, the value of the option named `option`, breaks. */
export function labelViolations(option: string, labels: unknown): string[] {
  const fields = fieldsOf(labels);
  if (fields === undefined) {
    return [`${option} is ${show(labels)}: it must be an object that maps label names to values`];
  }
  const violations: string[] = [];
  for (const [key, value] of Object.entries(fields)) {
    const [name = '', prefix] = key.split('/').reverse();
    const keyFits =
      key.split('/').length <= 2 &&
      name !== '' &&
      name.length <= 63 &&
      labelValue.test(name) &&
      (prefix === undefined || isSubdomain(prefix));
    if (!keyFits) violations.push(`${option} has the key ${show(key)}: it must be a Kubernetes label name`);
    if (typeof value !== 'string' || value.length > 63 || !labelValue.test(value)) {
      violations.push(`${option}[${show(key)}] is ${show(value)}: it must be a Kubernetes label value`);
    }
  }
  return violations;
}

/** `<hostname>_<uuid>`: it shows the pod's name, and is unique to the process. */
export function defaultIdentity(): string {
  return `${hostname()}_${randomUUID()}`;
}
