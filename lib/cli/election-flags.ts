import {
  InvalidOptionsError,
  electionOptionsIn,
  resolveElectionOptions,
  type ResolvedElectionOptions,
} from '../election/internal.js';
import { coordinatedViolations } from '../nest/options/coordinated-option.js';
import { alsoLeaseViolations, leaseNamesIn, slotViolations } from '../nest/options/lease-names.js';
import { inVariables, optionsFromEnvironment } from '../nest/options/options-from-environment.js';
import { CommandError, EXIT } from './terminal.js';

/** A flag for an option of an election: its name, its value in help, and what it says. */
export interface ElectionFlag {
  /** As in `LEADER_ELECTION_<option>`. */
  readonly option: string;
  /** Undefined: the flag has no value, and means true. */
  readonly value: string | undefined;
  readonly help: string;
  /** The values that there are. */
  readonly choices?: readonly string[];
}

/** The options of an election on which permissions, manifests and checks depend. */
export const electionFlags: readonly ElectionFlag[] = [
  {
    option: 'timing',
    value: 'choice',
    help: 'the times of the election',
    choices: ['fast', 'standard', 'patient'],
  },
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
  {
    option: 'takeover',
    value: 'choice',
    help: 'when another replica takes over',
    choices: ['expiry', 'sameContainer', 'podStatus'],
  },
];

/** The options of an election, from flags and from `LEADER_ELECTION_*` variables. */
export interface ElectionGiven {
  readonly options: ResolvedElectionOptions;
  /** Its Leases: one, or one for each slot, or both of an election that moves. */
  readonly leases: readonly string[];
  readonly events: boolean;
  readonly leaderPodLabels: Readonly<Record<string, string>>;
  readonly watchesPods: boolean;
  /** False: the processes only follow. */
  readonly mayLead: boolean;
}

const PREFIX = 'LEADER_ELECTION_';

/** What the command line says about an election. */
export interface ElectionWords {
  /** The name of the Lease. */
  readonly name: string | undefined;
  /** The values of flags by the names of their options. */
  readonly flags: ReadonlyMap<string, string>;
  readonly coordinated: boolean;
}

/**
 * Reads the options as `optionsFromEnvironment()` does, flags before variables.
 *
 * @throws CommandError for options that break rules, and without a name.
 */
export function electionGiven(
  { name, flags: given, coordinated }: ElectionWords,
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
    const { slots = 1, spread = false, events = false, leaderPodLabels = {}, takeover, campaign } = read;
    const names = { ...read, slots, spread };
    const violations = [
      ...slotViolations(names),
      ...alsoLeaseViolations(names),
      // The versions of a candidate are not needed here.
      ...coordinatedViolations({ ...read, ...(coordinated && { coordinated: { binaryVersion: '1.0.0' } }) }),
    ];
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
      mayLead: campaign !== false,
    };
  } catch (error) {
    if (!(error instanceof InvalidOptionsError)) throw error;
    const violations = error.violations.map((violation) => {
      if (violation.includes(': there is no such variable')) return violation;
      return inVariables(violation)
        .replace(/\bLEADER_ELECTION_[A-Z_]+/g, (variable) => {
          if (variable === `${PREFIX}LEASE_NAME` && name !== undefined) return 'NAME';
          if (!flags.has(variable) && env[variable]) return variable;
          const flag = electionFlags.find(({ option }) => variableOf(option) === variable);
          return flag === undefined ? variable : `--${flag.option}`;
        })
        .replace(' beside coordinated', ' beside --coordinated');
    });
    throw new CommandError(
      `The options of the election are not valid:\n${violations.join('\n')}`,
      EXIT.usage,
    );
  }
}

function variableOf(option: string): string {
  return PREFIX + option.replaceAll('-', '_').toUpperCase();
}
