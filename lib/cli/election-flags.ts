import {
  InvalidOptionsError,
  electionOptionsIn,
  resolveElectionOptions,
  type ResolvedElectionOptions,
} from '../election/internal.js';
import { alsoLeaseViolations, leaseNamesIn, slotViolations } from '../nest/options/lease-names.js';
import { optionsFromEnvironment } from '../nest/options/options-from-environment.js';
import { CommandError, EXIT } from './terminal.js';

/** A flag for an option of an election: its name, its value in help, and what it says. */
export interface ElectionFlag {
  /** As in `LEADER_ELECTION_<option>`. */
  readonly option: string;
  /** Undefined: the flag has no value, and means true. */
  readonly value: string | undefined;
  readonly help: string;
}

/** The options of an election on which permissions, manifests and checks depend. */
export const electionFlags: readonly ElectionFlag[] = [
  { option: 'timing', value: 'choice', help: "'fast', 'standard' or 'patient'" },
  { option: 'lease-duration', value: 'duration', help: 'for example 15s' },
  { option: 'renew-deadline', value: 'duration', help: 'for example 10s' },
  { option: 'retry-period', value: 'duration', help: 'for example 2s' },
  { option: 'renew-interval', value: 'duration', help: 'for example 3s' },
  { option: 'drain-timeout', value: 'duration', help: 'for example 20s' },
  { option: 'slots', value: 'number', help: 'how many replicas lead at a time' },
  { option: 'also-lease', value: 'name', help: 'the second Lease of an election that moves' },
  { option: 'events', value: undefined, help: 'Events are written on the Lease' },
  {
    option: 'leader-pod-labels',
    value: 'labels',
    help: "labels of the leader's Pod, for example role=leader",
  },
  { option: 'takeover', value: 'choice', help: "'expiry', 'sameContainer' or 'podStatus'" },
];

/** The options of an election, from flags and from `LEADER_ELECTION_*` variables. */
export interface ElectionGiven {
  readonly options: ResolvedElectionOptions;
  /** Its Leases: one, or one for each slot, or both of an election that moves. */
  readonly leases: readonly string[];
  readonly events: boolean;
  readonly leaderPodLabels: Readonly<Record<string, string>>;
  readonly watchesPods: boolean;
}

const PREFIX = 'LEADER_ELECTION_';

/**
 * Reads the options as `optionsFromEnvironment()` does, flags before variables.
 *
 * @param given the values of flags by the names of their options.
 * @throws CommandError for options that break rules, and without a name.
 */
export function electionGiven(
  name: string | undefined,
  given: ReadonlyMap<string, string>,
  env: NodeJS.ProcessEnv,
  leaseNamespace: string,
): ElectionGiven {
  const flags = new Map([...given].map(([option, value]) => [variableOf(option), { option, value }]));
  const fromFlags = Object.fromEntries([...flags].map(([variable, { value }]) => [variable, value]));
  const named = name === undefined ? {} : { [`${PREFIX}LEASE_NAME`]: name };
  const all = { ...env, ...fromFlags, ...named };
  if (!all[`${PREFIX}LEASE_NAME`])
    throw new CommandError(
      `The name of the Lease is missing: give NAME, or set ${PREFIX}LEASE_NAME.`,
      EXIT.usage,
    );
  try {
    const read = optionsFromEnvironment(all);
    const { slots = 1, spread = false, events = false, leaderPodLabels = {}, takeover } = read;
    const names = { ...read, slots, spread };
    const violations = [...slotViolations(names), ...alsoLeaseViolations(names)];
    if (violations.length > 0) throw new InvalidOptionsError(violations);
    const options = resolveElectionOptions(
      { ...electionOptionsIn(read), leaseNamespace },
      { leaseNamespace, identity: 'command-line' },
    );
    return {
      options,
      leases: leaseNamesIn(names),
      events,
      leaderPodLabels,
      watchesPods: takeover === 'podStatus',
    };
  } catch (error) {
    if (!(error instanceof InvalidOptionsError)) throw error;
    const violations = error.violations.map((violation) =>
      violation.replace(/\bLEADER_ELECTION_[A-Z_]+/g, (variable) => {
        if (variable === `${PREFIX}LEASE_NAME` && name !== undefined) return 'NAME';
        const flag = flags.get(variable);
        return flag === undefined ? variable : `--${flag.option}`;
      }),
    );
    throw new CommandError(
      `The options of the election are not valid:\n${violations.join('\n')}`,
      EXIT.usage,
    );
  }
}

function variableOf(option: string): string {
  return PREFIX + option.replaceAll('-', '_').toUpperCase();
}
