/** What was last seen of the lease, and when by this process' own clock. */
import { LONG_AGO, after, later, type MonotonicMs } from './clock.js';
import { isNewer, type LeaseSnapshot } from './lease-lock.js';
import { sameRecord } from './lease-record.js';

/** What is known about the lease. */
export type Observation =
  /** Nothing yet. */
  | { readonly kind: 'unseen' }
  /** There is no Lease. Whoever held the last one seen must be respected until `heldUntil`. */
  | {
      readonly kind: 'absent';
      /** The newest version known of what is gone, `'0'` for none. */
      readonly version: string;
      readonly seenAt: MonotonicMs;
      readonly heldUntil: MonotonicMs;
    }
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
    return { kind: 'absent', version: versionOf(previous), seenAt, heldUntil: mustRespectUntil(previous) };
  }
  const unchanged =
    previous.kind === 'present' &&
    previous.snapshot.uid === lease.uid &&
    sameRecord(previous.snapshot.record, lease.record);
  if (unchanged) return { ...previous, snapshot: lease, mine, seenAt };
  const seconds = lease.record.leaseDurationSeconds;
  // A hand-made Lease may name a holder and no duration: then ours is the best guess.
  const owed = after(seenAt, seconds === undefined ? facts.leaseDuration : seconds * 1000);
  // What is older than what was seen before takes nothing from whoever was seen then.
  const isOld = isNewer(versionOf(previous), lease.resourceVersion);
  const heldUntil = isOld ? later(owed, mustRespectUntil(previous)) : owed;
  return { kind: 'present', snapshot: lease, mine, seenAt, heldUntil };
}

/** The newest version of the lease that was seen, `'0'` for none. */
export function versionOf(observation: Observation): string {
  switch (observation.kind) {
    case 'unseen':
      return '0';
    case 'absent':
      return observation.version;
    case 'present':
      return observation.snapshot.resourceVersion;
  }
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
