/** The records this process writes. Field by field as client-go writes them. */
import type { LeaseRecord, MicroTime } from './lease-record.js';

/** Gives the time of a write, later than `previous` and different from it. */
export type WriteTime = (previous: MicroTime | undefined) => MicroTime;

interface Holder {
  readonly identity: string;
  readonly leaseDuration: number;
}

/** The record that begins a term, on top of `previous` (undefined: the Lease does not exist yet). */
export function recordToAcquire(
  previous: LeaseRecord | undefined,
  holder: Holder,
  time: WriteTime,
): LeaseRecord {
  const now = time(previous?.renewTime);
  // The name in the lease does not change: no transition, and still the same acquisition.
  const kept = previous?.holderIdentity === holder.identity;
  return {
    holderIdentity: holder.identity,
    leaseDurationSeconds: holder.leaseDuration / 1000,
    acquireTime: kept ? (previous.acquireTime ?? now) : now,
    renewTime: now,
    leaseTransitions: previous === undefined ? 0 : previous.leaseTransitions + (kept ? 0 : 1),
  };
}

/** The record that renews `previous`. */
export function recordToRenew(previous: LeaseRecord, holder: Holder, time: WriteTime): LeaseRecord {
  return {
    ...previous,
    leaseDurationSeconds: holder.leaseDuration / 1000,
    renewTime: time(previous.renewTime),
  };
}

/**
 * The record that gives the lease up. The holder is `''`, never absent: under a coordinated election an
 * absent one crashes the API server. One second is the shortest duration a Lease can have.
 */
export function recordToRelease(previous: LeaseRecord, time: WriteTime): LeaseRecord {
  const now = time(previous.renewTime);
  return { ...previous, holderIdentity: '', leaseDurationSeconds: 1, acquireTime: now, renewTime: now };
}
