import { leaseNameViolations, show, slotLeaseName } from '../../election/internal.js';
import type { LeaderElectionModuleOptions } from './module-options.js';

/** The options on which the Leases of an election depend, with their defaults. */
export type LeaseNameOptions = Pick<LeaderElectionModuleOptions, 'leaseName' | 'alsoLease'> & {
  readonly slots: number;
  readonly spread: boolean;
};

/** The limit of slots: every replica watches the Lease of every slot, each on a connection of its own. */
const MOST_SLOTS = 256;
const LONGEST_NAME = 253;

/** The rules that `slots` breaks. */
export function slotViolations(options: LeaseNameOptions): string[] {
  const { slots, spread, leaseName }: Readonly<Record<string, unknown>> = { ...options };
  if (typeof slots !== 'number' || !Number.isInteger(slots) || slots < 1)
    return [`slots is ${show(slots)}: it must be a whole number, at least 1`];
  if (slots > MOST_SLOTS)
    return [
      `slots is ${show(slots)}: it must be at most ${String(MOST_SLOTS)}, because every replica watches the Lease of ` +
        `every slot; for more, use elections with spread`,
    ];
  if (slots > 1 && spread === true)
    return [`slots is ${String(slots)} and spread true: slots are spread anyway, one to a replica`];
  const last = typeof leaseName === 'string' && slots > 1 ? slotLeaseName(leaseName, slots - 1) : '';
  if (last.length <= LONGEST_NAME) return [];
  return [
    `leaseName is ${show(leaseName)} and slots ${String(slots)}: with the slot's number behind it, as in ` +
      `leaseName-${String(slots - 1)}, it must still be at most ${String(LONGEST_NAME)} characters`,
  ];
}

/** The name of another Lease, by the rules of `leaseName`. An election that already has several Leases cannot be moved. */
export function alsoLeaseViolations({ alsoLease, leaseName, slots, spread }: LeaseNameOptions): string[] {
  if (alsoLease === undefined) return [];
  const shown = show(alsoLease);
  return [
    ...leaseNameViolations('alsoLease', alsoLease),
    ...(alsoLease === leaseName ? [`alsoLease is ${shown}, as leaseName is: it must be another Lease`] : []),
    ...(slots === 1
      ? []
      : [`alsoLease is ${shown} and slots ${show(slots)}: only an election with one leader can move`]),
    ...(spread ? [`alsoLease is ${shown} and spread true: an election cannot be spread while it moves`] : []),
  ];
}

/** The names of the Leases of an election: one, one for each slot, or `leaseName` and `alsoLease`. */
export function leaseNamesIn({ leaseName, slots, alsoLease }: LeaseNameOptions): string[] {
  if (alsoLease !== undefined) return [leaseName, alsoLease];
  return slots === 1
    ? [leaseName]
    : Array.from({ length: slots }, (_, slot) => slotLeaseName(leaseName, slot));
}
