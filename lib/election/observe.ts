/** How what is heard of the lease changes what is known of it. */
import { validityOf } from './active-term.js';
import { LONG_AGO, later, type MonotonicMs } from './clock.js';
import { isElected } from './elected-record.js';
import { isNewer, type LeaseSnapshot } from './lease-lock.js';
import { sameRecord } from './lease-record.js';
import { versionOf, type Hearing, type Observation, type Present } from './observation.js';
import { mayHaveBeenTaken, owedAfter, owedAfterEdit, owedAtElection, owedTo } from './owed.js';
import { isTouch } from './touch.js';

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
  const { seenAt } = hearing;
  const { known, owed } = knownOf(previous, lease);
  const isSame = known.kind === 'present' && known.snapshot.uid === lease.uid;
  // What the server has lost, others may have acted on.
  const isOld = isNewer(versionOf(previous), lease.resourceVersion);
  const own = isOld ? {} : ownOf(known, hearing);
  const sight: Omit<Present, 'heldUntil'> = { kind: 'present', snapshot: lease, mine: false, seenAt, ...own };
  if (isSame && sameRecord(known.snapshot.record, lease.record)) {
    const heldUntil = later(known.heldUntil, owed);
    const owedBefore = known.mine ? later(known.owedBefore ?? LONG_AGO, owed) : undefined;
    const same = { ...known, snapshot: lease, seenAt, heldUntil, owedBefore };
    return isOld ? { ...same, mine: false, validity: undefined, touch: undefined } : same;
  }
  if (isElected(lease.record, hearing.candidate))
    return { ...sight, heldUntil: owedAtElection(previous, lease, hearing) };
  const isOthers = hearing.sent === undefined && hearing.candidate === undefined;
  if (isSame && !isOld && isOthers && isTouch(known, lease.record, hearing)) {
    const lastTouch = { seenAt, renewTime: lease.record.renewTime };
    const heldUntil = owedTo(lease, hearing);
    return { ...known, snapshot: lease, seenAt, touch: 'unanswered', lastTouch, heldUntil };
  }
  // Another Lease, or an old version of it, takes nothing from whoever held the one that was seen before; and neither
  // does an edit by hand that empties it.
  if (!isSame || isOld) {
    const owedBefore = owedAfter(previous, hearing);
    const heldUntil = later(owedTo(lease, hearing), owedBefore);
    return { ...sight, heldUntil, ...(sight.mine && { owedBefore }) };
  }
  const owedSince = later(owedAfterEdit(known, lease, hearing), owed);
  const heldUntil = later(owedTo(lease, hearing), owedSince);
  const owedBefore = later(known.owedBefore ?? LONG_AGO, owed);
  return { ...sight, heldUntil, ...(sight.mine && { owedBefore }) };
}

/** What is to be known of a record of ours besides that it was seen. */
function ownOf(
  known: Observation,
  { sent, renewDeadline }: Hearing,
): Partial<Pick<Present, 'mine' | 'validity' | 'touch' | 'lastTouch'>> {
  if (sent === undefined) return {};
  const answers = known.kind === 'present' && known.touch === 'unanswered';
  return {
    mine: true,
    validity: validityOf(sent.sentAt, sent.sentOn, renewDeadline),
    ...(answers && { touch: 'answered' as const }),
    ...(known.kind === 'present' && known.mine && { lastTouch: known.lastTouch }),
  };
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
  const { seenAt } = hearing;
  const isHeardAgain = known.heard?.lease.snapshot.uid === lease.uid;
  // Whoever holds another one that was told of comes before the holder of this.
  const owedBefore = isHeardAgain ? known.heard.owedBefore : known.heldUntil;
  const own = ownOf(known, hearing);
  const owed = owedWhileAbsent(known, lease, hearing);
  const heard: Present = isHeardAgain
    ? see(known.heard.lease, lease, hearing)
    : { kind: 'present', snapshot: lease, mine: false, seenAt, ...own, heldUntil: owed };
  return {
    ...known,
    version: lease.resourceVersion,
    heldUntil: later(known.heldUntil, owed),
    heard: { lease: heard, owedBefore },
  };
}

function owedWhileAbsent(known: Observation, lease: LeaseSnapshot, hearing: Hearing): MonotonicMs {
  if (isElected(lease.record, hearing.candidate)) return owedAtElection(known, lease, hearing);
  if (hearing.sent === undefined) return owedTo(lease, hearing);
  // By now another may have taken over from our record, as late as this instant, and the Lease have gone after that.
  const taken = mayHaveBeenTaken(ownOf(known, hearing), hearing);
  return taken ? owedTo(lease, { ...hearing, sent: undefined }) : LONG_AGO;
}
