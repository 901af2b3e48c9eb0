/** How what is heard of the lease changes what is known of it. */
import { LONG_AGO, later, type MonotonicMs } from './clock.js';
import { isElected } from './elected-record.js';
import { isNewer, type LeaseSnapshot } from './lease-lock.js';
import { sameRecord } from './lease-record.js';
import { versionOf, type Hearing, type Observation, type Present } from './observation.js';
import { owedAfter, owedAfterEdit, owedAtElection, owedTo } from './owed.js';

/** `lease` is there, or is not. Pure. */
export function observe(
  previous: Observation,
  lease: LeaseSnapshot | undefined,
  hearing: Hearing,
): Observation {
  const { seenAt, deletion } = hearing;
  if (lease === undefined) {
    return {
      kind: 'absent',
      version: deletion ?? versionOf(previous),
      seenAt,
      heldUntil: owedAfter(previous, hearing),
    };
  }
  return see(previous, lease, hearing);
}

function see(previous: Observation, lease: LeaseSnapshot, hearing: Hearing): Present {
  const { seenAt, mine } = hearing;
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
  const isHeardAgain = known.heard?.lease.snapshot.uid === lease.uid;
  // Whoever holds another one that was told of comes before the holder of this.
  const owedBefore = isHeardAgain ? known.heard.owedBefore : known.heldUntil;
  const owed = mine ? LONG_AGO : owedWhileAbsent(known, lease, hearing);
  const heard: Present = isHeardAgain
    ? see(known.heard.lease, lease, hearing)
    : { kind: 'present', snapshot: lease, mine, seenAt, heldUntil: owed };
  return {
    ...known,
    version: lease.resourceVersion,
    heldUntil: later(known.heldUntil, owed),
    heard: { lease: heard, owedBefore },
  };
}

function owedWhileAbsent(known: Observation, lease: LeaseSnapshot, hearing: Hearing): MonotonicMs {
  return isElected(lease.record, hearing.candidate)
    ? owedAtElection(known, lease, hearing)
    : owedTo(lease, hearing);
}
