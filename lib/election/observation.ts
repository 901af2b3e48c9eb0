/** What was last seen of the lease, and when by this process' own clock. */
import { LONG_AGO, after, type MonotonicMs } from './clock.js';
import type { LeaseSnapshot } from './lease-lock.js';
import { sameRecord } from './lease-record.js';

/** What is known about the lease. */
export type Observation =
  /** Nothing yet. */
  | { readonly kind: 'unseen' }
  /** There is no Lease. Whoever held the last one seen must be respected until `heldUntil`. */
  | { readonly kind: 'absent'; readonly seenAt: MonotonicMs; readonly heldUntil: MonotonicMs }
  | {
      readonly kind: 'present';
      readonly snapshot: LeaseSnapshot;
      /** This process wrote that record. */
      readonly mine: boolean;
      /** When the lease was last heard of. */
      readonly seenAt: MonotonicMs;
      /**
       * First sight of this record, plus the *record's* duration: the earliest instant to take over. Edits
       * of labels or annotations do not move it. Its writer sent it before we first saw it, so its writer's
       * validity, which counts from the sending and is shorter, has ended by then.
       */
      readonly heldUntil: MonotonicMs;
    };

/** `lease` was heard of at `seenAt`. Pure. */
export function observe(
  previous: Observation,
  lease: LeaseSnapshot | undefined,
  facts: { seenAt: MonotonicMs; mine: boolean; leaseDuration: number },
): Observation {
  const { seenAt, mine } = facts;
  if (lease === undefined) {
    return { kind: 'absent', seenAt, heldUntil: mustRespectUntil(previous) };
  }
  const unchanged =
    previous.kind === 'present' &&
    previous.snapshot.uid === lease.uid &&
    sameRecord(previous.snapshot.record, lease.record);
  const seconds = lease.record.leaseDurationSeconds;
  const heldUntil = unchanged
    ? previous.heldUntil
    : // A hand-made Lease may name a holder and no duration: then ours is the best guess.
      after(seenAt, seconds === undefined ? facts.leaseDuration : seconds * 1000);
  return { kind: 'present', snapshot: lease, mine, seenAt, heldUntil };
}

function mustRespectUntil(previous: Observation): MonotonicMs {
  switch (previous.kind) {
    case 'unseen':
      return LONG_AGO;
    case 'absent':
      return previous.heldUntil;
    case 'present': {
      const respected = previous.snapshot.record.holderIdentity !== '' && !previous.mine;
      return respected ? previous.heldUntil : LONG_AGO;
    }
  }
}

/** The holder as last seen, `''` for none. */
export function holderOf(observation: Observation): string {
  return observation.kind === 'present' ? observation.snapshot.record.holderIdentity : '';
}
