/** What was last seen of the lease, and when by this process' own clock. */
import { LONG_AGO, after, later, type MonotonicMs } from './clock.js';
import { isElected, owedAtElection } from './elected-record.js';
import { isNewer, type LeaseSnapshot } from './lease-lock.js';
import { sameRecord } from './lease-record.js';

/** What is known about the lease. */
export type Observation =
  /** Nothing yet. */
  | { readonly kind: 'unseen' }
  /** There is no Lease. Whoever held the last one must be respected until `heldUntil`. */
  | {
      readonly kind: 'absent';
      /** The newest version known of what is gone, `'0'` for none. */
      readonly version: string;
      readonly seenAt: MonotonicMs;
      readonly heldUntil: MonotonicMs;
      /** A Lease that was told of since, and until when whoever held one before it must be respected. */
      readonly heard?: { readonly lease: Present; readonly owedBefore: MonotonicMs };
    }
  | {
      readonly kind: 'present';
      readonly snapshot: LeaseSnapshot;
      /** This process wrote that record. */
      readonly mine: boolean;
      /** When the lease was last heard of. */
      readonly seenAt: MonotonicMs;
      /**
       * First sight of this record, plus the *record's* duration: the earliest instant to take over; long ago for one
       * without a holder, unless a Lease that was held has gone before it. Edits
       * of labels or annotations do not move it. Its writer sent it before we first saw it, so its writer's
       * validity, which counts from the sending and is shorter, has ended by then.
       */
      readonly heldUntil: MonotonicMs;
    };

type Present = Extract<Observation, { kind: 'present' }>;

/** What is heard of the lease. */
export interface Hearing {
  readonly seenAt: MonotonicMs;
  /** This process wrote that record. */
  readonly mine: boolean;
  /** This process' own, in milliseconds: where a record says nothing, it is the best guess. */
  readonly leaseDuration: number;
  /** This process' name, in an election in which the server says who is to hold the lease. */
  readonly candidate?: string | undefined;
  /** The version as of which the lease is known to be gone, if a deletion was told of. */
  readonly deletion?: string;
}

/** `lease` is there, or is not. Pure. */
export function observe(
  previous: Observation,
  lease: LeaseSnapshot | undefined,
  hearing: Hearing,
): Observation {
  const { seenAt, mine, deletion } = hearing;
  if (lease === undefined) {
    return {
      kind: 'absent',
      version: deletion ?? versionOf(previous),
      seenAt,
      heldUntil: owedAfter(previous, hearing),
    };
  }
  const { known, owed } = knownOf(previous, lease);
  const isSame = known.kind === 'present' && known.snapshot.uid === lease.uid;
  if (isSame && sameRecord(known.snapshot.record, lease.record))
    return { ...known, snapshot: lease, mine, seenAt, heldUntil: later(known.heldUntil, owed) };
  if (isElected(lease.record, hearing.candidate)) {
    const heldUntil = owedAtElection(previous, lease, hearing);
    return { kind: 'present', snapshot: lease, mine, seenAt, heldUntil };
  }
  const isOld = isNewer(versionOf(previous), lease.resourceVersion);
  // Another Lease, or an old version of it, takes nothing from whoever held the one that was seen before; and neither
  // does an edit by hand that empties it.
  const owedBefore =
    !isSame || isOld ? owedAfter(previous, hearing) : later(owedAfterEdit(known, lease, hearing), owed);
  const heldUntil = later(owedTo(lease, hearing), owedBefore);
  return { kind: 'present', snapshot: lease, mine, seenAt, heldUntil };
}

/** What was known of that very Lease: also if it was told of while none was there, and turns out to be there. */
function knownOf(previous: Observation, { uid }: LeaseSnapshot): { known: Observation; owed: MonotonicMs } {
  const heard = previous.kind === 'absent' ? previous.heard : undefined;
  if (heard?.lease.snapshot.uid !== uid) return { known: previous, owed: LONG_AGO };
  return { known: heard.lease, owed: heard.owedBefore };
}

/** The lease is known to be gone, and is told of all the same: too late perhaps, but whoever holds it is respected. */
export function hearWhileAbsent(
  known: Observation & { kind: 'absent' },
  lease: LeaseSnapshot,
  hearing: Hearing,
): Observation {
  const { seenAt, mine } = hearing;
  const owedBefore = known.heard?.owedBefore ?? known.heldUntil;
  const owed = mine ? LONG_AGO : owedWhileAbsent(known, lease, hearing);
  return {
    ...known,
    version: lease.resourceVersion,
    heldUntil: later(known.heldUntil, owed),
    heard: { lease: { kind: 'present', snapshot: lease, mine, seenAt, heldUntil: owed }, owedBefore },
  };
}

function owedWhileAbsent(known: Observation, lease: LeaseSnapshot, hearing: Hearing): MonotonicMs {
  return isElected(lease.record, hearing.candidate)
    ? owedAtElection(known, lease, hearing)
    : owedTo(lease, hearing);
}

/** Until when to respect the holder in a record that is seen for the first time. */
function owedTo({ record }: LeaseSnapshot, { seenAt, leaseDuration }: Hearing): MonotonicMs {
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
function owedAfter(previous: Observation, { seenAt, leaseDuration, deletion }: Hearing): MonotonicMs {
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
function owedAfterEdit(
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

/** The holder as last seen, `''` for none. */
export function holderOf(observation: Observation): string {
  return observation.kind === 'present' ? observation.snapshot.record.holderIdentity : '';
}
