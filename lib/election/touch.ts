/**
 * Somebody who does not take part has changed `renewTime` or `leaseTransitions` of the record in which this process holds
 * the lease: the delayed renewal of a client that lost it, an edit by hand. Nobody else has the lease, so the term goes on.
 *
 * Why nobody has: within our validity no process of another name takes over. One of our own name may, if its
 * `reclaimOwnLease` is set; but each claim moves `acquireTime` (own-records.ts), so its record is no touch. client-go goes
 * by the name alone and changes nothing but `renewTime`: one of our name looks like a touch, but again and again. So a
 * second one is no touch before a record of ours has stayed until the next renewal of it; nor, as its renewals may be rarer
 * than ours, when it comes within a lease of the first and its `renewTime` has gone on, as a holder's does. Pure.
 */
import { after } from './clock.js';
import type { LeaseRecord } from './lease-record.js';
import type { Hearing, Present } from './observation.js';
import { mayHaveBeenTaken } from './owed.js';

/** Whether `record`, as it was heard of, is what was known to be ours, touched. */
export function isTouch(known: Present, record: LeaseRecord, hearing: Hearing): boolean {
  const ours = known.snapshot.record;
  return (
    known.mine &&
    known.touch === undefined &&
    !isRenewalOf(known.lastTouch, record, hearing) &&
    !mayHaveBeenTaken(known, hearing) &&
    record.holderIdentity === ours.holderIdentity &&
    record.leaseDurationSeconds === ours.leaseDurationSeconds &&
    record.acquireTime === ours.acquireTime
  );
}

/** Whether `record` may be the next renewal of whoever made the last touch: it must make one within its lease. */
function isRenewalOf(
  last: Present['lastTouch'],
  { renewTime }: LeaseRecord,
  { seenAt, leaseDuration }: Hearing,
): boolean {
  if (last?.renewTime === undefined || renewTime === undefined) return false;
  return seenAt < after(last.seenAt, leaseDuration) && renewTime > last.renewTime;
}
