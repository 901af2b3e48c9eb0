/**
 * What a sighting of the lease means, by this process' own clock. Pure.
 *
 * A sighting is the lease as one reply or one watch event shows it. An observation is what this process makes of all its
 * sightings: whose the record is, and until when its holder, and those who held the lease before, must be respected. What is
 * not known is taken for the longest that it can be (ARCHITECTURE.md, rules 1, 3 and 7).
 */
import { LONG_AGO, after, later, type MonotonicMs, type WallMs } from './clock.js';
import { isNewer, sameRecord, type LeaseRecord, type LeaseSnapshot, type MicroTime } from './lease.js';

/** Until when a term is certain, on both clocks, and when the write was sent that earned it. */
export interface Validity {
  readonly sentOn: WallMs;
  readonly until: MonotonicMs;
  readonly untilDate: WallMs;
}

/** The validity that a write earns which was sent at these instants. */
export function validityOf(sentAt: MonotonicMs, sentOn: WallMs, renewDeadline: number): Validity {
  return { sentOn, until: after(sentAt, renewDeadline), untilDate: after(sentOn, renewDeadline) };
}

/** Whether a validity lasts. The wall clock is a second witness: a suspended machine stops the monotonic one. */
export function isValid(validity: Validity, now: MonotonicMs, date: WallMs): boolean {
  return now < validity.until && date < validity.untilDate;
}

/** Milliseconds of validity left, on the clock that leaves fewer. */
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

/** There is no Lease. Whoever held the last one must be respected until `heldUntil`. */
export interface Absent {
  readonly kind: 'absent';
  /** The newest version known of what is gone, `'0'` for none. */
  readonly version: string;
  readonly seenAt: MonotonicMs;
  readonly heldUntil: MonotonicMs;
  /** A Lease that an event has shown since, and until when whoever held one before it must be respected. */
  readonly shown?: { readonly lease: Present; readonly owedBefore: MonotonicMs };
}

/** There is a Lease. */
export interface Present {
  readonly kind: 'present';
  readonly snapshot: LeaseSnapshot;
  /** This process wrote that record. */
  readonly mine: boolean;
  /** When the lease was last seen. */
  readonly seenAt: MonotonicMs;
  /**
   * The earliest instant to take over: the first sight of this record, plus the *record's* duration. Long ago for a record
   * without a holder, unless a Lease that was held has gone before it. Edits of labels or annotations do not move it. The
   * writer sent the record before we first saw it, so the writer's validity, which counts from the sending and is shorter,
   * has ended by then. A record of ours counts from when it was sent: others may have seen it long before its reply came.
   */
  readonly heldUntil: MonotonicMs;
  /** Of a record of ours: until when the holder of another Lease, which has gone before this one, must be respected. */
  readonly owedBefore?: MonotonicMs | undefined;
  /**
   * Of a record of ours: the validity that it earns, from when it was sent. While that lasts no other process can have
   * taken the lease from it: another clock may run faster than ours by leaseDuration ÷ renewDeadline at most.
   */
  readonly validity?: Validity | undefined;
  /** Of a record of ours: a release was sent on top of it. From then on another may take the lease. */
  readonly mayBeReleased?: boolean;
  /** Of a record of ours: somebody else has changed its times since, or our next record answers that. See {@link isTouch}. */
  readonly touch?: Touch | undefined;
  /** Of a record of ours: what the last touch made of `renewTime`, and when it was seen. */
  readonly lastTouch?:
    { readonly seenAt: MonotonicMs; readonly renewTime: MicroTime | undefined } | undefined;
}

/** `unanswered`: the lease shows what another has made of our record; `answered`: it shows what we wrote on top of that. */
export type Touch = 'unanswered' | 'answered';

/** How the lease was seen, and by whom. */
export interface Sighting {
  readonly seenAt: MonotonicMs;
  /** The same instant by the wall clock, which goes on while a machine is suspended. */
  readonly seenOn: WallMs;
  /** When this process sent that record; undefined: another wrote it. */
  readonly sent?: Sent | undefined;
  /** This process' own, in milliseconds: where a record says nothing, it is the best guess. */
  readonly leaseDuration: number;
  /** This process' own, in milliseconds. */
  readonly renewDeadline: number;
  /** The version as of which the lease is known to be gone, if an event showed its deletion. */
  readonly deletion?: string;
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
export function holderIn(observation: Observation): string {
  return observation.kind === 'present' ? observation.snapshot.record.holderIdentity : '';
}

/** Until when whoever holds the lease, or held it, must be respected. */
export function heldUntil(observation: Observation): MonotonicMs {
  return observation.kind === 'unseen' ? LONG_AGO : observation.heldUntil;
}

/** What is known once `lease` was seen, or, if undefined, that there is none. */
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
  // What the server has lost, others may have acted on.
  const isOld = isNewer(versionOf(previous), lease.resourceVersion);
  const own = isOld ? {} : ownPart(known, sighting);
  const seen: Omit<Present, 'heldUntil'> = { kind: 'present', snapshot: lease, mine: false, seenAt, ...own };
  if (isSame && sameRecord(known.snapshot.record, lease.record)) {
    const same = { ...known, snapshot: lease, seenAt, heldUntil: later(known.heldUntil, owed) };
    if (known.mine && !isOld) return { ...same, owedBefore: later(known.owedBefore ?? LONG_AGO, owed) };
    return isOld ? { ...same, mine: false, validity: undefined, touch: undefined } : same;
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
  // Another Lease, or an old version of it, takes nothing from whoever held the one that was seen before; neither does an
  // edit by hand that empties it.
  const owedBefore =
    !isSame || isOld ? owedAfter(previous, sighting) : later(owedAfterEdit(known, lease, sighting), owed);
  const heldUntil = later(owedTo(lease, sighting), owedBefore);
  if (!seen.mine) return { ...seen, heldUntil };
  const owedStill = known.kind === 'present' && known.mine ? known.owedBefore : undefined;
  return { ...seen, heldUntil, owedBefore: later(owedBefore, owedStill ?? LONG_AGO) };
}

/** What is known of a record of ours besides that it was seen. */
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

/** What was known of that very Lease, also if an event showed it while none was there. */
function knownOf(previous: Observation, { uid }: LeaseSnapshot): { known: Observation; owed: MonotonicMs } {
  const shown = previous.kind === 'absent' ? previous.shown : undefined;
  if (shown?.lease.snapshot.uid !== uid) return { known: previous, owed: LONG_AGO };
  return { known: shown.lease, owed: shown.owedBefore };
}

/** The lease is known to be gone, and an event shows it all the same: too late perhaps, but its holder is respected. */
export function observeShownWhileAbsent(known: Absent, lease: LeaseSnapshot, sighting: Sighting): Absent {
  const { seenAt } = sighting;
  const isShownAgain = known.shown?.lease.snapshot.uid === lease.uid;
  // The holder of another Lease that an event showed comes before the holder of this one.
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
  if (sighting.sent === undefined) return owedTo(lease, sighting);
  // By now another may have taken over from our record, as late as this instant, and the Lease have gone after that.
  const taken = mayHaveBeenTaken(ownPart(known, sighting), sighting);
  return taken ? owedTo(lease, { ...sighting, sent: undefined }) : LONG_AGO;
}

// A touch

/**
 * Whether `record` is a record of ours that somebody who does not take part has touched: changed `renewTime` or
 * `leaseTransitions`, as the delayed renewal of a client that lost the lease does, or an edit by hand. Nobody else has the
 * lease, so the term goes on.
 *
 * Why nobody has: within our validity no process of another name takes over. One of our own name may, if its
 * `reclaimOwnLease` is set; but each claim moves `acquireTime` (`recordToAcquire`), so its record is no touch. client-go goes
 * by the name alone and changes nothing but `renewTime`: one of our name looks like a touch, but again and again. So a
 * second one is no touch before a record of ours has stayed until the next renewal of it; nor, as its renewals may be rarer
 * than ours, when it comes within a lease of the first and its `renewTime` has gone on, as a holder's does.
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

/** Whether `record` may be the next renewal of whoever made the last touch: it must make one within its lease. */
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
 * Whether another process may have taken the lease, by now, from a record of ours. Others may do so when they have seen
 * it unchanged for `leaseDuration` by their own clock: not while it makes a term certain, by ours. From a record that is
 * not ours another may at any time, and from one that we have released.
 */
function mayHaveBeenTaken(
  known: Pick<Present, 'validity' | 'mayBeReleased'>,
  sighting: Pick<Sighting, 'seenAt' | 'seenOn'>,
): boolean {
  return known.mayBeReleased === true || !isCertain(known, sighting);
}

/** Until when to respect the holder in a record that is seen for the first time; of our own, from when it was sent. */
function owedTo({ record }: LeaseSnapshot, sighting: Sighting): MonotonicMs {
  const { holderIdentity, leaseDurationSeconds: seconds } = record;
  if (holderIdentity === '') return LONG_AGO;
  const from = sighting.sent?.sentAt ?? sighting.seenAt;
  // A record without acquireTime was claimed by nobody: a controller has put the name there, or a hand, perhaps over a
  // holder that is still sure of the lease.
  if (record.acquireTime === undefined) return after(from, atLeastOurs(seconds, sighting));
  return after(from, seconds === undefined ? sighting.leaseDuration : seconds * 1000);
}

/**
 * How long to respect whoever held a Lease that is gone. Its last renewals may never have been seen here, so it
 * counts from when the loss was seen: later than that it cannot have been renewed. A Lease of which nothing is known binds
 * nobody who has just started (docs/guarantees.md, what is not guaranteed). One that showed a record of ours can have had no
 * other holder until another may have taken over from that; from then on it may, without our having seen it.
 */
function owedAfter(previous: Observation, sighting: Sighting): MonotonicMs {
  const { seenAt, leaseDuration, deletion } = sighting;
  switch (previous.kind) {
    case 'unseen':
      return deletion === undefined ? LONG_AGO : after(seenAt, leaseDuration);
    case 'absent': {
      const { heldUntil, shown } = previous;
      // One that an event showed has gone since: its last renewals may not have been seen, either.
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
 * How long to respect the holder of a Lease that is there, but changed: not at all after a release or a claim; but when it was
 * emptied by hand, or another name was put there that nobody has claimed, its holder may not have seen that.
 */
function owedAfterEdit(previous: Present, { record }: LeaseSnapshot, sighting: Sighting): MonotonicMs {
  if (!mayHaveBeenTaken(previous, sighting)) return LONG_AGO;
  if (record.holderIdentity !== '')
    return record.acquireTime === undefined && !previous.mine ? previous.heldUntil : LONG_AGO;
  const before = previous.snapshot.record;
  if (isRelease(before, record)) return LONG_AGO;
  // The last record of whoever held it, emptied: ours, perhaps.
  if (record.renewTime === before.renewTime) return previous.mine ? LONG_AGO : previous.heldUntil;
  const owed = atLeastOurs(record.leaseDurationSeconds, sighting);
  return later(previous.heldUntil, after(sighting.seenAt, owed));
}

/** Whether those who held the lease before its holder must still be respected. */
export function owesToOthers(observation: Observation, now: MonotonicMs): boolean {
  return observation.kind === 'present' && (observation.owedBefore ?? LONG_AGO) > now;
}

/** A record's duration in milliseconds, or ours if that is longer. */
export function atLeastOurs(
  seconds: number | undefined,
  { leaseDuration }: { readonly leaseDuration: number },
): number {
  return Math.max((seconds ?? 0) * 1000, leaseDuration);
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
