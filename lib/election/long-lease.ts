import type { MonotonicMs } from './clock.js';
import { LeaderError } from './errors.js';
import { holderOf, type Observation } from './observation.js';
import type { ResolvedElectionOptions } from './options.js';
import { readable } from './readable.js';

/** From how many times the own duration on. Replicas that are given other options in a roll-out differ by less. */
const MANY = 10;

/**
 * What is wrong when whoever holds the lease, or held one that is gone, must be waited for so long that it is hardly meant:
 * a duration that was mistyped or forged. It is respected all the same. Pure.
 */
export function longLease(
  observation: Observation,
  now: MonotonicMs,
  { leaseName, leaseNamespace, leaseDuration }: ResolvedElectionOptions,
): LeaderError | undefined {
  if (observation.kind === 'unseen' || (observation.kind === 'present' && observation.mine)) return undefined;
  const left = observation.heldUntil - now;
  if (left <= MANY * leaseDuration) return undefined;
  const lease = `'${leaseNamespace}/${leaseName}'`;
  const holder = readable(holderOf(observation));
  return new LeaderError(
    'LEADER_LONG_LEASE',
    `${holder === '' ? `Whoever held the lease ${lease} last` : `'${holder}' holds the lease ${lease} and`} asked others to ` +
      `wait, of which ${String(Math.round(left / 1000))} s are left, and this process' leaseDuration is ` +
      `${String(leaseDuration / 1000)} s. If that is not meant: make sure that no such holder runs, delete the Lease, and ` +
      `restart every replica, because a process respects what it has seen until it ends (docs/operations.md).`,
  );
}
