import {
  InvalidOptionsError,
  electionOptionsIn,
  resolveElectionOptions,
  show,
  withNearest,
} from '../../election/internal.js';
import { clusterViolations } from './cluster-options.js';
import type { LeaderElectionModuleOptions, TraceOption } from './module-options.js';

const PREFIX = 'LEADER_ELECTION_';

/** A kind of value. `read` returns undefined for a value of another kind; `expected` describes the kind. */
interface Kind<T = unknown> {
  readonly expected: string;
  read(text: string): T | undefined;
}

/** Undefined if the text has so many digits that its value is infinite. */
const finite = (value: number | undefined): number | undefined =>
  Number.isFinite(value) ? value : undefined;

const text: Kind<string> = { expected: 'a string', read: (value) => value };
const flag: Kind<boolean> = {
  expected: 'true or false',
  read: (value) => (value === 'true' ? true : value === 'false' ? false : undefined),
};
const traceForm: Kind<TraceOption> = {
  expected: 'true, false or json',
  read: (value) => (value === 'json' ? value : flag.read(value)),
};
const number: Kind<number> = {
  expected: 'a number',
  read: (value) => (/^\d+(\.\d+)?$/.test(value) ? finite(Number(value)) : undefined),
};
const signed: Kind<number> = {
  expected: 'a number',
  read: (value) => (/^-?\d+(\.\d+)?$/.test(value) ? finite(Number(value)) : undefined),
};
const duration: Kind<number> = {
  expected: 'a duration with a unit, such as 15s, 1m30s or 500ms',
  read: (value) => finite(parseDuration(value)),
};
const labels: Kind<Record<string, string>> = {
  expected: 'labels such as app=billing,tier=jobs, each key once',
  read: (value) => {
    const pairs = value.split(',').map((pair) => pair.split('=').map((side) => side.trim()));
    const keys = new Set(pairs.map(([key]) => key));
    return pairs.every((pair) => pair.length === 2) && keys.size === pairs.length
      ? (Object.fromEntries(pairs) as Record<string, string>)
      : undefined;
  },
};

/** The options that environment variables can contain. */
const kinds = {
  enabled: flag,
  campaign: flag,
  advertise: text,
  priority: signed,
  leaseName: text,
  leaseNamespace: text,
  identity: text,
  timing: text,
  leaseDuration: duration,
  renewDeadline: duration,
  retryPeriod: duration,
  jitterFactor: number,
  renewInterval: duration,
  releaseOnCancel: flag,
  drainTimeout: duration,
  termLimit: duration,
  lockDelay: duration,
  reclaimOwnLease: flag,
  labels,
  spread: flag,
  onLost: text,
  readinessInterval: duration,
  exposeLeader: flag,
  trace: traceForm,
  logFields: text,
  slots: number,
  alsoLease: text,
  events: flag,
  leaderPodLabels: labels,
  preflight: text,
  releaseAtExit: flag,
  serverClockMargin: duration,
  takeover: text,
} satisfies Record<
  Exclude<
    keyof LeaderElectionModuleOptions,
    'kubernetes' | 'lock' | 'readinessCheck' | 'ownerReference' | 'metrics' | 'traces' | 'coordinated'
  >,
  Kind
>;

const optionOf: ReadonlyMap<string, string> = new Map(
  Object.keys(kinds).map((option) => [variableOf(option), option]),
);

/** The variables that Kubernetes sets for Services named `leader-election` or `leader-election-something`. */
const ofAService =
  /^LEADER_ELECTION_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)?)$/;

/**
 * Reads the options from `LEADER_ELECTION_*` variables: `LEADER_ELECTION_LEASE_NAME` for `leaseName`, and so on. Durations have a unit as
 * in Go (`15s`), labels are written as `app=billing,tier=jobs`. An empty variable counts as unset. Add options that a variable cannot
 * contain: `{ ...optionsFromEnvironment(), readinessCheck }`.
 *
 * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS`, one error that names every variable that is missing, unknown, has a value of the
 * wrong kind, or breaks a rule of the election.
 */
export function optionsFromEnvironment(env: NodeJS.ProcessEnv = process.env): LeaderElectionModuleOptions {
  const violations: string[] = [];
  const unknown: string[] = [];
  /** How the rules begin that are broken by the text of a variable whose kind is wrong, which is said already. */
  const unread: string[] = [];
  const options: Record<string, unknown> = {};
  for (const [variable, value = ''] of Object.entries(env)) {
    if (!variable.startsWith(PREFIX) || ofAService.test(variable) || value === '') continue;
    const option = optionOf.get(variable);
    if (option === undefined) {
      unknown.push(withNearest(withoutPrefix(variable), [...optionOf.keys()].map(withoutPrefix), PREFIX));
      continue;
    }
    const kind: Kind = kinds[option as keyof typeof kinds];
    const given = kind.read(value);
    if (given === undefined) {
      violations.push(`${variable} is ${show(value)}: it must be ${kind.expected}`);
      unread.push(`${option} is ${show(value)}: `);
    }
    options[option] = given ?? value;
  }
  // The list of variables is long, so it is shown once, however many unknown variables there are.
  if (unknown.length > 0) {
    const known = [...optionOf.keys()].join(', ');
    violations.push(`${unknown.join(', ')}: there is no such variable; they are ${known}`);
  }
  const broken = brokenRules(options).filter(
    (rule) => !unread.some((beginning) => rule.startsWith(beginning)),
  );
  violations.push(...broken.map(inVariables));
  if (violations.length > 0) throw new InvalidOptionsError(violations, `The ${PREFIX}* variables`);
  // The rules were checked: each value is of its kind, and leaseName is set.
  return options as unknown as LeaderElectionModuleOptions;
}

/** The rules of the election and of its cluster that the values break. The module checks the others. */
function brokenRules(options: Record<string, unknown>): readonly string[] {
  // The values are unchecked: both report what is wrong with them.
  const broken = clusterViolations(options);
  try {
    // The namespace is not known yet.
    const environment = { leaseNamespace: 'default', identity: 'me' };
    resolveElectionOptions(electionOptionsIn(options), environment);
    return broken;
  } catch (error) {
    if (!(error instanceof InvalidOptionsError)) throw error;
    return [...broken, ...error.violations];
  }
}

/** A value in a message, in which names of options must not be replaced by those of variables. */
const quoted = ["'", '"', '`'].map((mark) => `${mark}(?:[^${mark}\\\\]|\\\\.)*${mark}`).join('|');
const quotedOrOption = new RegExp(`${quoted}|\\b(${Object.keys(kinds).join('|')})\\b`, 'g');

/** The rule with the names of variables instead of those of options. */
export function inVariables(rule: string): string {
  return rule.replace(quotedOrOption, (seen: string, option?: string) =>
    option === undefined ? seen : variableOf(option),
  );
}

function withoutPrefix(variable: string): string {
  return variable.slice(PREFIX.length);
}

function variableOf(option: string): string {
  return PREFIX + option.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

const MS_PER_UNIT: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

const durationPattern = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/;
const partPattern = /(\d+(?:\.\d+)?)(ms|s|m|h)/g;

/**
 * Reads a duration as Go prints it, such as `15s`, `1m30s`, `1.5h` and `500ms`. Returns milliseconds, or undefined if `text` is not a
 * duration. As in Go a number needs a unit, except 0.
 */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0;
  if (!durationPattern.test(text)) return undefined;
  return [...text.matchAll(partPattern)].reduce(
    (sum, [, number, unit]) => sum + Number(number) * (MS_PER_UNIT[String(unit)] ?? 0),
    0,
  );
}
