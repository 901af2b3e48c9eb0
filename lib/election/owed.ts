/**
 * Until when those who held the lease before must be respected, by this process' own clock (design.md §4, rule 3): whatever is
 * not known is taken for the longest that it can be. Pure.
 */
import { LONG_AGO, after, later, type MonotonicMs } from './clock.js';
import type { LeaseSnapshot } from './lease-lock.js';
import type { LeaseRecord } from './lease-record.js';
import type { Hearing, Observation } from './observation.js';

/** Until when to respect the holder in a record that is seen for the first time. */
export function owedTo({ record }: LeaseSnapshot, { seenAt, leaseDuration }: Hearing): MonotonicMs {
  const { holderIdentity, leaseDurationSeconds: seconds, acquireTime } = record;
  if (holderIdentity === '') return LONG_AGO;
  // Nobody has claimed it: a server that elects has written it, perhaps over one who is still sure of the lease.
  if (acquireTime === undefined) return after(seenAt, Math.max((seconds ?? 0) * 1000, leaseDuration));
  return after(seenAt, seconds === undefined ? leaseDuration : seconds * 1000);
}

/**
 * How long to respect whoever held a Lease that is gone. Its last renewals may never have been seen here, so it
 * counts from when the loss was: later than that it cannot have renewed. A Lease of which nothing is known binds
 * nobody who has just started (design.md §1, not guaranteed); one that is held by this process, and has not run
 * out, can have had no other holder.
 */
export function owedAfter(previous: Observation, { seenAt, leaseDuration, deletion }: Hearing): MonotonicMs {
  switch (previous.kind) {
    case 'unseen':
      return deletion === undefined ? LONG_AGO : after(seenAt, leaseDuration);
    case 'absent':
      return previous.heldUntil;
    case 'present': {
      if (previous.mine && seenAt < previous.heldUntil) return LONG_AGO;
      const seconds = previous.snapshot.record.leaseDurationSeconds ?? 0;
      return later(previous.heldUntil, after(seenAt, Math.max(seconds * 1000, leaseDuration)));
    }
  }
}

/**
 * How long to respect the holder of a Lease that is there, but changed. A release writes both times alike, ours and
 * client-go's; what does not was emptied by hand, and its holder may not have heard of it.
 */
export function owedAfterEdit(
  previous: Observation & { kind: 'present' },
  { record }: LeaseSnapshot,
  { seenAt, leaseDuration }: Hearing,
): MonotonicMs {
  if (record.holderIdentity !== '' || previous.mine) return LONG_AGO;
  const { renewTime } = previous.snapshot.record;
  if (record.renewTime === renewTime) return previous.heldUntil;
  if (record.renewTime === record.acquireTime) return LONG_AGO;
  const seconds = record.leaseDurationSeconds ?? 0;
  return later(previous.heldUntil, after(seenAt, Math.max(seconds * 1000, leaseDuration)));
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
