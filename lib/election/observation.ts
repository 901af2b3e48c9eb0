/**
 * What a sighting of the lease means, by this process' own clock. Pure.
 *
 * A sighting is the lease as one reply or one watch event shows it. An observation is the conclusion from all sightings so
 * far: who wrote the record, and until when its holder, and earlier holders, must be respected. Where that is uncertain, the
 * longest possible time is assumed (ARCHITECTURE.md, rules 1, 3 and 7).
 */
import { LONG_AGO, NEVER, after, earlier, later, type MonotonicMs, type WallMs } from './clock.js';
import { isNewer, sameRecord, type LeaseRecord, type LeaseSnapshot, type MicroTime } from './lease.js';

/** Until when a term is certain, on both clocks, and when the write that earned this was sent. */
export interface Validity {
  readonly sentOn: WallMs;
  readonly until: MonotonicMs;
  readonly untilDate: WallMs;
}

/** The validity earned by a write that was sent at these instants. */
export function validityOf(sentAt: MonotonicMs, sentOn: WallMs, renewDeadline: number): Validity {
  return { sentOn, until: after(sentAt, renewDeadline), untilDate: after(sentOn, renewDeadline) };
}

/** Whether a validity still lasts, by both clocks: a suspended machine stops the monotonic one. */
export function isValid(validity: Validity, now: MonotonicMs, date: WallMs): boolean {
  return now < validity.until && date < validity.untilDate;
}

/** Milliseconds of validity left, by the clock that leaves less. */
export function validFor(validity: Validity, now: MonotonicMs, date: WallMs): number {
  return Math.max(Math.min(validity.until - now, validity.untilDate - date), 0);
}

/** When a record of ours was sent, by both clocks. */
export interface Sent {
  readonly sentAt: MonotonicMs;
  readonly sentOn: WallMs;
}

/** What is known about the lease. */
export type Observation =
  /** Nothing yet. */
  { readonly kind: 'unseen' } | Absent | Present;

/** There is no Lease. The holder of the last one must be respected until `heldUntil`. */
export interface Absent {
  readonly kind: 'absent';
  /** The newest known version of the Lease that is gone; `'0'` if none was seen. */
  readonly version: string;
  readonly seenAt: MonotonicMs;
  readonly heldUntil: MonotonicMs;
  /** A Lease that a watch event has shown since, and until when the holders of earlier ones must be respected. */
  readonly shown?: { readonly lease: Present; readonly owedBefore: MonotonicMs };
}

/** The Lease exists. */
export interface Present {
  readonly kind: 'present';
  readonly snapshot: LeaseSnapshot;
  /** This process wrote that record. */
  readonly mine: boolean;
  /** When the lease was last seen. */
  readonly seenAt: MonotonicMs;
  /**
   * The earliest instant for a take-over: when this record was first seen, plus the *record's* duration. `LONG_AGO` for a
   * record without a holder, unless the holder of an earlier, deleted Lease must still be respected. Edits of labels or
   * annotations do not move it. The writer's validity has ended by then, because it counts from the sending of the record,
   * which was earlier, and is shorter. Our own record counts from its sending, because others may have seen it long before
   * its reply came.
   */
  readonly heldUntil: MonotonicMs;
  /** Until when the holder of an earlier, deleted Lease must be respected, whoever holds this one. */
  readonly owedBefore?: MonotonicMs | undefined;
  /**
   * For our own record: the validity that it earned. While that lasts no other process can have taken over from the record:
   * another clock runs faster than ours by leaseDuration ÷ renewDeadline at most.
   */
  readonly validity?: Validity | undefined;
  /** For our own record: a release was sent on top of it, so another process may have taken the lease since. */
  readonly mayBeReleased?: boolean;
  /** For our own record: somebody else has edited its times. See {@link isTouch}. */
  readonly touch?: Touch | undefined;
  /** For our own record: the `renewTime` that the last touch left, and when the touch was seen. */
  readonly lastTouch?:
    { readonly seenAt: MonotonicMs; readonly renewTime: MicroTime | undefined } | undefined;
}

/** `unanswered`: the lease shows our record as edited by somebody else; `answered`: it shows our next record on top of that. */
export type Touch = 'unanswered' | 'answered';

/** When the lease was seen, and by whom. */
export interface Sighting {
  readonly seenAt: MonotonicMs;
  /** The same instant by the wall clock, which continues while a machine is suspended. */
  readonly seenOn: WallMs;
  /** When this process sent the record; undefined: another process wrote it. */
  readonly sent?: Sent | undefined;
  /** This process' option, in milliseconds: the best guess where a record names no duration. */
  readonly leaseDuration: number;
  /** This process' option, in milliseconds. */
  readonly renewDeadline: number;
  /** The resourceVersion of the deletion, if an event showed one. */
  readonly deletion?: string | undefined;
}

/** The newest version of the lease that was seen; `'0'` if none was. */
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

/** The holder as last seen; `''` if there is none. */
export function holderIn(observation: Observation): string {
  return observation.kind === 'present' ? observation.snapshot.record.holderIdentity : '';
}

/**
 * Until when the present or last holder must be respected: no longer if it is dead. The holder of an earlier, deleted Lease may
 * still be alive.
 *
 * @param goneAt when the process of the holder was proven dead. Default: it was not.
 */
export function heldUntil(observation: Observation, goneAt = NEVER): MonotonicMs {
  if (observation.kind === 'unseen') return LONG_AGO;
  if (observation.kind === 'absent') return observation.heldUntil;
  return earlier(observation.heldUntil, later(goneAt, observation.owedBefore ?? LONG_AGO));
}

/** The observation after a sighting of `lease` (undefined: there is none). */
export function observe(
  previous: Observation,
  lease: LeaseSnapshot | undefined,
  sighting: Sighting,
): Observation {
  if (lease !== undefined) return observePresent(previous, lease, sighting);
  const { seenAt, deletion } = sighting;
  return {
    kind: 'absent',
    version: deletion ?? versionOf(previous),
    seenAt,
    heldUntil: owedAfter(previous, sighting),
  };
}

function observePresent(previous: Observation, lease: LeaseSnapshot, sighting: Sighting): Present {
  const { seenAt } = sighting;
  const { known, owed } = knownOf(previous, lease);
  const isSame = known.kind === 'present' && known.snapshot.uid === lease.uid;
  // The server has lost newer versions, on which other processes may have acted.
  const isOld = isNewer(versionOf(previous), lease.resourceVersion);
  const own = isOld ? {} : ownPart(known, sighting);
  const seen: Omit<Present, 'heldUntil'> = { kind: 'present', snapshot: lease, mine: false, seenAt, ...own };
  if (isSame && sameRecord(known.snapshot.record, lease.record)) {
    const owedBefore = later(known.owedBefore ?? LONG_AGO, owed);
    const same = { ...known, snapshot: lease, seenAt, heldUntil: later(known.heldUntil, owed), owedBefore };
    if (isOld) return { ...same, mine: false, validity: undefined, touch: undefined };
    // The record may be older than our first sight of it.
    if (known.mine || lease.ageMs === undefined) return same;
    return { ...same, heldUntil: later(owedBefore, earlier(same.heldUntil, owedTo(lease, sighting))) };
  }
  if (isSame && !isOld && sighting.sent === undefined && isTouch(known, lease.record, sighting)) {
    const lastTouch = { seenAt, renewTime: lease.record.renewTime };
    return {
      ...known,
      snapshot: lease,
      seenAt,
      touch: 'unanswered',
      lastTouch,
      heldUntil: owedTo(lease, sighting),
    };
  }
  // A re-created Lease, or an old version of it, does not end the claim of the earlier holder. Neither does an edit by hand
  // that empties the lease.
  const owedNow =
    !isSame || isOld ? owedAfter(previous, sighting) : later(owedAfterEdit(known, lease, sighting), owed);
  const owedStill = known.kind === 'present' ? known.owedBefore : undefined;
  const owedBefore = later(owedNow, owedStill ?? LONG_AGO);
  return { ...seen, heldUntil: later(owedTo(lease, sighting), owedBefore), owedBefore };
}

/** The properties of an observation that only our own record has. */
function ownPart(
  known: Observation,
  { sent, renewDeadline }: Sighting,
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

/** What was known of this Lease (by uid), also if an event showed it while it was absent. */
function knownOf(previous: Observation, { uid }: LeaseSnapshot): { known: Observation; owed: MonotonicMs } {
  const shown = previous.kind === 'absent' ? previous.shown : undefined;
  if (shown?.lease.snapshot.uid !== uid) return { known: previous, owed: LONG_AGO };
  return { known: shown.lease, owed: shown.owedBefore };
}

/** An event shows a lease that is known to be gone. The event may be late, but the holder in it is respected. */
export function observeShownWhileAbsent(known: Absent, lease: LeaseSnapshot, sighting: Sighting): Absent {
  const { seenAt } = sighting;
  const isShownAgain = known.shown?.lease.snapshot.uid === lease.uid;
  // The holder of another Lease that an event showed was earlier than the holder of this one.
  const owedBefore = isShownAgain ? known.shown.owedBefore : owedAfter(known, sighting);
  const own = ownPart(known, sighting);
  const owed = owedWhileAbsent(known, lease, sighting);
  const shown: Present = isShownAgain
    ? observePresent(known.shown.lease, lease, sighting)
    : { kind: 'present', snapshot: lease, mine: false, seenAt, ...own, heldUntil: owed };
  return {
    ...known,
    version: lease.resourceVersion,
    heldUntil: later(later(known.heldUntil, owedBefore), owed),
    shown: { lease: shown, owedBefore },
  };
}

function owedWhileAbsent(known: Observation, lease: LeaseSnapshot, sighting: Sighting): MonotonicMs {
  // Another process holds it, or may have taken over from our record, as late as now, before the Lease was deleted.
  const taken = mayHaveBeenTaken(ownPart(known, sighting), sighting);
  return taken ? owedTo(lease, { ...sighting, sent: undefined }) : LONG_AGO;
}

// A touch

/**
 * Whether `record` is our own record with `renewTime` or `leaseTransitions` changed by a writer that does not hold the lease:
 * the delayed renewal of a client that lost it, or an edit by hand. We still hold the lease, so the term continues.
 *
 * Nobody else can hold it: within our validity no process with another name takes over. One with our name may, if it sets
 * `reclaimOwnLease`; but each claim moves `acquireTime` ({@link recordToAcquire}), so its record is not a touch. A client-go
 * process with our name compares only the name and changes only `renewTime`, so each of its renewals looks like a touch. So
 * a second touch counts only if, since the first, a record of ours has stayed in the lease until our next renewal. And it
 * does not count if it comes within one lease duration of the first with a later `renewTime`: a holder with our name may
 * renew less often than we do.
 */
function isTouch(known: Present, record: LeaseRecord, sighting: Sighting): boolean {
  const ours = known.snapshot.record;
  return (
    known.mine &&
    known.touch === undefined &&
    !mayBeNextRenewal(known.lastTouch, record, sighting) &&
    isCertain(known, sighting) &&
    record.holderIdentity === ours.holderIdentity &&
    record.leaseDurationSeconds === ours.leaseDurationSeconds &&
    record.acquireTime === ours.acquireTime
  );
}

/** Whether `record` may be the next renewal by the writer of the last touch, which must renew within its lease duration. */
function mayBeNextRenewal(
  last: Present['lastTouch'],
  { renewTime }: LeaseRecord,
  { seenAt, leaseDuration }: Sighting,
): boolean {
  if (last?.renewTime === undefined || renewTime === undefined) return false;
  return seenAt < after(last.seenAt, leaseDuration) && renewTime > last.renewTime;
}

// Until when the lease is owed to others

function isCertain(
  { validity }: Pick<Present, 'validity'>,
  { seenAt, seenOn }: Pick<Sighting, 'seenAt' | 'seenOn'>,
): boolean {
  return validity !== undefined && isValid(validity, seenAt, seenOn);
}

/**
 * Whether another process may have taken over by now. From our own record it may do so after seeing it unchanged for
 * `leaseDuration` by its own clock, so not while the record is valid by ours. From a record of somebody else, or one that we
 * have released, it may do so at any time.
 */
function mayHaveBeenTaken(
  known: Pick<Present, 'validity' | 'mayBeReleased'>,
  sighting: Pick<Sighting, 'seenAt' | 'seenOn'>,
): boolean {
  return known.mayBeReleased === true || !isCertain(known, sighting);
}

/** Until when to respect the holder of a newly seen record. Our own record counts from its sending. */
function owedTo({ record, ageMs = 0 }: LeaseSnapshot, sighting: Sighting): MonotonicMs {
  const { holderIdentity, leaseDurationSeconds: seconds } = record;
  if (holderIdentity === '') return LONG_AGO;
  const firstSeenAt = sighting.sent?.sentAt ?? sighting.seenAt;
  // A record without acquireTime was not written by a claim: a controller or a person entered the name, perhaps over the
  // name of a holder that is still certain of the lease.
  if (record.acquireTime === undefined) return after(firstSeenAt, atLeastOurs(seconds, sighting));
  const from = sighting.sent === undefined ? after(firstSeenAt, -ageMs) : firstSeenAt;
  return after(from, seconds === undefined ? sighting.leaseDuration : seconds * 1000);
}

/**
 * Until when to respect the holder of a Lease that is gone. We may have missed its last renewals, so the time counts from
 * when the loss was seen: it cannot have been renewed later. A process that has just started and has not seen the Lease
 * respects nobody (docs/guarantees.md, what is not guaranteed). If the Lease held our record, it can have another holder only
 * once that record may have been taken over.
 */
function owedAfter(previous: Observation, sighting: Sighting): MonotonicMs {
  const { seenAt, leaseDuration, deletion } = sighting;
  switch (previous.kind) {
    case 'unseen':
      return deletion === undefined ? LONG_AGO : after(seenAt, leaseDuration);
    case 'absent': {
      const { heldUntil, shown } = previous;
      // A Lease that an event showed has gone since: its last renewals may have been missed, too.
      return shown === undefined ? heldUntil : later(heldUntil, owedAfter(shown.lease, sighting));
    }
    case 'present': {
      if (!mayHaveBeenTaken(previous, sighting)) return previous.owedBefore ?? LONG_AGO;
      const { leaseDurationSeconds } = previous.snapshot.record;
      return later(previous.heldUntil, after(seenAt, atLeastOurs(leaseDurationSeconds, sighting)));
    }
  }
}

/**
 * Until when to respect the previous holder of a Lease that has changed. After a release or a claim there is nobody to
 * respect. But if the record was emptied by hand, or another name was entered without a claim, the holder may not have
 * noticed yet.
 */
function owedAfterEdit(previous: Present, { record }: LeaseSnapshot, sighting: Sighting): MonotonicMs {
  if (!mayHaveBeenTaken(previous, sighting)) return LONG_AGO;
  if (record.holderIdentity !== '')
    return record.acquireTime === undefined && !previous.mine ? previous.heldUntil : LONG_AGO;
  const before = previous.snapshot.record;
  if (isRelease(before, record)) return LONG_AGO;
  // Only the name was removed from the holder's last record.
  if (record.renewTime === before.renewTime) return previous.mine ? LONG_AGO : previous.heldUntil;
  const owed = atLeastOurs(record.leaseDurationSeconds, sighting);
  return later(previous.heldUntil, after(sighting.seenAt, owed));
}

/** Whether an earlier holder must still be respected beside the present one. */
export function owesToOthers(observation: Observation, now: MonotonicMs): boolean {
  return observation.kind === 'present' && (observation.owedBefore ?? LONG_AGO) > now;
}

/** A record's duration in milliseconds, or our own if that is longer. */
export function atLeastOurs(
  seconds: number | undefined,
  { leaseDuration }: { readonly leaseDuration: number },
): number {
  return Math.max((seconds ?? 0) * 1000, leaseDuration);
}

/**
 * Whether a record without a holder is certainly a release by its holder, not an edit by hand under a live holder.
 *
 * - It has no `renewTime`: some clients remove that, too, when they release (the official Java client, kubert,
 *   `@codedependant/kubernetes-leader-election`), and so does a `kubectl patch` of both fields. No holder writes a record
 *   without it.
 * - Its two times are equal, and new: an edit by hand keeps the times that the holder wrote. The first record of a term may
 *   have equal times, too, and may have been emptied before we saw it; but then `leaseTransitions` has grown and the duration
 *   is unchanged. A release keeps `leaseTransitions` (client-go, ours), or shortens the duration to one second.
 */
function isRelease(before: LeaseRecord, record: LeaseRecord): boolean {
  const { renewTime, acquireTime, leaseDurationSeconds: seconds = 1, leaseTransitions } = record;
  if (renewTime === undefined) return true;
  if (renewTime !== acquireTime || renewTime === before.renewTime || acquireTime === before.acquireTime)
    return false;
  return seconds === 1 || (leaseTransitions !== undefined && leaseTransitions === before.leaseTransitions);
}
