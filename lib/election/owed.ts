/**
 * Until when those who held the lease before must be respected, by this process' own clock (design.md §4, rule 3): whatever is
 * not known is taken for the longest that it can be. Pure.
 */
import { LONG_AGO, after, later, type MonotonicMs } from './clock.js';
import type { LeaseSnapshot } from './lease-lock.js';
import type { LeaseRecord } from './lease-record.js';
import type { Hearing, Observation, Present } from './observation.js';

/**
 * Whether another process may have taken the lease, by now, from a record of ours. Others may do so when they have seen
 * it unchanged for `leaseDuration` by their own clock: not while it makes a term certain, by ours. From a record that is
 * not ours another may at any time.
 */
export function mayHaveBeenTaken(
  { validity }: Pick<Present, 'validity'>,
  { seenAt, seenOn }: Pick<Hearing, 'seenAt' | 'seenOn'>,
): boolean {
  return validity === undefined || seenAt >= validity.until || seenOn >= validity.untilDate;
}

/** Until when to respect the holder in a record that is seen for the first time; of our own, from when it was sent. */
export function owedTo({ record }: LeaseSnapshot, hearing: Hearing): MonotonicMs {
  const { leaseDuration } = hearing;
  const seenAt = hearing.sent?.sentAt ?? hearing.seenAt;
  const { holderIdentity, leaseDurationSeconds: seconds, acquireTime } = record;
  if (holderIdentity === '') return LONG_AGO;
  // Nobody has claimed it: a server that elects has written it, perhaps over one who is still sure of the lease.
  if (acquireTime === undefined) return after(seenAt, Math.max((seconds ?? 0) * 1000, leaseDuration));
  return after(seenAt, seconds === undefined ? leaseDuration : seconds * 1000);
}

/**
 * How long to respect whoever held a Lease that is gone. Its last renewals may never have been seen here, so it
 * counts from when the loss was: later than that it cannot have renewed. A Lease of which nothing is known binds
 * nobody who has just started (design.md §1, not guaranteed). One that showed a record of ours can have had no other
 * holder until another may have taken over from that; from then on it may, without our having heard of it.
 */
export function owedAfter(previous: Observation, hearing: Hearing): MonotonicMs {
  const { seenAt, leaseDuration, deletion } = hearing;
  switch (previous.kind) {
    case 'unseen':
      return deletion === undefined ? LONG_AGO : after(seenAt, leaseDuration);
    case 'absent': {
      const { heldUntil, heard } = previous;
      // One that was told of has gone since: its last renewals may not have been seen, either.
      return heard === undefined ? heldUntil : later(heldUntil, owedAfter(heard.lease, hearing));
    }
    case 'present': {
      if (!mayHaveBeenTaken(previous, hearing)) return previous.owedBefore ?? LONG_AGO;
      const seconds = previous.snapshot.record.leaseDurationSeconds ?? 0;
      return later(previous.heldUntil, after(seenAt, Math.max(seconds * 1000, leaseDuration)));
    }
  }
}

/**
 * How long to respect the holder of a Lease that is there, but changed: not at all after a release; but one that was
 * emptied by hand has a holder who may not have heard of it.
 */
export function owedAfterEdit(previous: Present, { record }: LeaseSnapshot, hearing: Hearing): MonotonicMs {
  if (record.holderIdentity !== '' || !mayHaveBeenTaken(previous, hearing)) return LONG_AGO;
  const { seenAt, leaseDuration } = hearing;
  const before = previous.snapshot.record;
  if (isRelease(before, record)) return LONG_AGO;
  // The last record of whoever held it, emptied: ours, perhaps.
  if (record.renewTime === before.renewTime) return previous.mine ? LONG_AGO : previous.heldUntil;
  const seconds = record.leaseDurationSeconds ?? 0;
  return later(previous.heldUntil, after(seenAt, Math.max(seconds * 1000, leaseDuration)));
}

/**
 * Whether a record without a holder is surely its holder's own release, and no edit by hand under a holder who lives.
 *
 * - It has no `renewTime`: whoever takes that out as well gives the lease up (the official Java client, kubert,
 *   `@codedependant/kubernetes-leader-election`, and `kubectl patch` of both). No holder ever writes none.
 * - Its times are alike, and new: an edit leaves them as the holder wrote them. A first record may have times alike, too,
 *   and may have been emptied before it was seen; but then the lease had changed hands, and kept its duration. A release
 *   counts no transition (client-go, ours), or shortens the lease to a second.
 */
function isRelease(before: LeaseRecord, record: LeaseRecord): boolean {
  const { renewTime, acquireTime, leaseDurationSeconds: seconds = 1, leaseTransitions } = record;
  if (renewTime === undefined) return true;
  if (renewTime !== acquireTime || renewTime === before.renewTime || acquireTime === before.acquireTime)
    return false;
  return seconds === 1 || (leaseTransitions !== undefined && leaseTransitions === before.leaseTransitions);
}

/** Until when the one that was elected in `lease` respects those who held it before. Pure. */
export function owedAtElection(
  previous: Observation,
  lease: LeaseSnapshot,
  { seenAt, leaseDuration }: Hearing,
): MonotonicMs {
  const wasHeld = isClaimed(lease.record);
  switch (previous.kind) {
    case 'unseen':
      return wasHeld ? after(seenAt, leaseDuration) : LONG_AGO;
    case 'absent':
      return wasHeld ? later(previous.heldUntil, after(seenAt, leaseDuration)) : previous.heldUntil;
    case 'present': {
      const { record, ...before } = previous.snapshot;
      if (!wasHeld && !isClaimed(record) && before.uid === lease.uid) return previous.heldUntil;
      if (sawTheLastOf(previous.snapshot, lease)) return previous.mine ? LONG_AGO : previous.heldUntil;
      // Renewals may have been missed, but none can have been made since the lease was given to us.
      const owed = Math.max((record.leaseDurationSeconds ?? 0) * 1000, leaseDuration);
      return later(previous.heldUntil, after(seenAt, owed));
    }
  }
}

/**
 * Whether anybody has ever held a Lease that says this. The server makes one without `leaseTransitions`; whoever holds
 * it writes some, client-go's candidates too, who count none and leave no other trace. Of a holder that writes none
 * `acquireTime` tells until the server clears it.
 */
function isClaimed({ heldAt, leaseTransitions, acquireTime }: LeaseRecord): boolean {
  return heldAt !== undefined || leaseTransitions !== undefined || acquireTime !== undefined;
}

/**
 * Whether nothing was written by a holder between these two. A holder that leaves no note of its renewals, as
 * client-go's do not, is never known to have written its last.
 */
function sawTheLastOf(before: LeaseSnapshot, elected: LeaseSnapshot): boolean {
  return (
    before.uid === elected.uid &&
    before.record.acquireTime !== undefined &&
    before.record.renewTime === elected.record.heldAt &&
    before.record.leaseTransitions === elected.record.leaseTransitions
  );
}
