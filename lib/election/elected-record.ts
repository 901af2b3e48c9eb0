/**
 * Coordinated elections (KEP-4355): the API server writes into the Lease who is to hold it, and clears `acquireTime`.
 * Its word decides who may claim the lease, never when: it judges by wall clocks, so whoever held the lease before
 * may still be sure of its term. The elected one waits for that by its own clock and then claims it like any lease,
 * by a conditional write. So two never lead, whatever the server writes (docs/decisions.md).
 */
import { LONG_AGO, after, later, type MonotonicMs } from './clock.js';
import type { LeaseSnapshot } from './lease-lock.js';
import type { LeaseRecord } from './lease-record.js';
import type { Hearing, Observation } from './observation.js';

/**
 * Whether the server has put `candidate` up for the lease, and nobody has claimed it since: a claim says when it was.
 * Undefined is no candidate of anything.
 */
export function isElected(record: LeaseRecord, candidate: string | undefined): boolean {
  return candidate !== undefined && record.holderIdentity === candidate && record.acquireTime === undefined;
}

/** Whether the server wants another than `identity` to hold the lease. */
export function isOutvoted({ preferredHolder = '' }: LeaseRecord, identity: string): boolean {
  return preferredHolder !== '' && preferredHolder !== identity;
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
 * it writes some, client-go's candidates too, who count none and leave no other trace.
 */
function isClaimed({ heldAt, leaseTransitions }: LeaseRecord): boolean {
  return heldAt !== undefined || leaseTransitions !== undefined;
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
