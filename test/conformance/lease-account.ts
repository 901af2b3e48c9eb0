/**
 * What a process may conclude about the lease from what it was shown: the checker's own account, kept from the rules of
 * ARCHITECTURE.md (1, 3, 5, 6, 7) and sharing no code with lib/election. All instants are by the process' own clocks.
 */
import type { LeaseRecord, LeaseSnapshot } from '../../lib/election/index.js';
import type { ElectionConfig } from '../../lib/election/machine.js';
import type { Reading } from '../../lib/election/life.js';
import { isCertain, numbers } from '../proof/rules.js';

const LONG_AGO = Number.NEGATIVE_INFINITY;

type Options = ElectionConfig['options'];

/** A write of this process, other than a release. */
export interface Attempt {
  readonly number: number;
  readonly record: LeaseRecord;
  /** What it is conditional on; undefined: on there being no Lease. */
  readonly base: LeaseSnapshot | undefined;
  /** The term that it renews; undefined: it claims. */
  readonly term: number | undefined;
  readonly sentAt: number;
  readonly sentOn: number;
  /** Rule 5: it can still begin or extend a term. */
  readonly counts: boolean;
}

/** The Lease as it was seen last. */
export interface SeenLease {
  readonly kind: 'lease';
  readonly snapshot: LeaseSnapshot;
  readonly seenAt: number;
  /** Rule 7: when this process sent that record, if it did. */
  readonly own: Pick<Attempt, 'sentAt' | 'sentOn'> | undefined;
  /** Rule 3: this process has sent a release on top of it, so another process may have taken it. */
  readonly isReleaseSent: boolean;
  /** A watch event has shown another Lease since. */
  readonly isReplaced: boolean;
  /** Rule 6: somebody else has changed the times of our record; `answered`: we have renewed on top of that. */
  readonly touch: 'none' | 'unanswered' | 'answered';
  readonly lastTouch: { readonly seenAt: number; readonly renewTime: string | undefined } | undefined;
  /** Rule 1: until when its holder is owed the lease. */
  readonly heldUntil: number;
  /** Rule 3: until when the holders of earlier Leases are owed it. */
  readonly owed: number;
}

/** Rule 3: there is no Lease, and until when its last holder is owed it. */
export interface NoLease {
  readonly kind: 'absent';
  readonly version: bigint;
  readonly seenAt: number;
  readonly owed: number;
  /** A watch event has shown a Lease since, which no read has confirmed. */
  readonly shown: SeenLease | undefined;
}

export type Known = { readonly kind: 'nothing' } | NoLease | SeenLease;

/** What a sighting has brought. */
export interface Sighting {
  /** The attempt that it shows to have been carried out, if that still counted. */
  readonly proved: Attempt | undefined;
}

/** How many of its writes a process remembers (rule 7). */
const REMEMBERED = 32;

/** The account of one process. */
export class LeaseAccount {
  known: Known = { kind: 'nothing' };
  /** A read must come before the next write: the last was refused, or nothing tells what became of it. */
  mustRead = false;
  /** A read may come: as above, or because a claim failed, which may also be repeated. */
  mayRead = false;
  /** Rule 9: since when an open watch may have missed a deletion. */
  gapSince: number | undefined;
  #hint: { readonly version: bigint; readonly at: number; readonly owedMs: number } | undefined;
  #attempts: readonly Attempt[] = [];
  /** Our own record that was seen last. */
  #stored: Attempt | undefined;

  constructor(private readonly options: Options) {}

  // What was sent

  sent(attempt: Attempt): void {
    this.#attempts = [...this.#attempts, attempt].slice(-REMEMBERED);
  }

  releaseSent(): void {
    if (this.known.kind === 'lease') this.known = { ...this.known, isReleaseSent: true };
  }

  /** Rule 5: when a term ends or a release begins, what was sent so far counts no more. */
  voidAttempts(): void {
    this.#attempts = this.#attempts.map((attempt) => ({ ...attempt, counts: false }));
  }

  /** The attempts that this process has sent on top of what is known. */
  attemptsOnKnown(): readonly Attempt[] {
    return this.#attempts.filter(({ base }) => this.#isKnown(base));
  }

  conflicted(number: number): void {
    const attempt = this.#attempts.find((one) => one.number === number);
    if (attempt !== undefined && this.#isKnown(attempt.base)) this.#doubt();
  }

  failed(number: number, { maybeCommitted, isInvalid, mayRepeat }: Failure): void {
    const attempt = this.#attempts.find((one) => one.number === number);
    if (attempt === undefined) return;
    if (!maybeCommitted) this.#attempts = this.#attempts.filter((one) => one !== attempt);
    const { known } = this;
    const wasSeenSince = known.kind !== 'nothing' && known.seenAt > attempt.sentAt;
    if (!(maybeCommitted || isInvalid) || wasSeenSince || !this.#isKnown(attempt.base)) return;
    this.mayRead = true;
    this.mustRead ||= attempt.term !== undefined || !mayRepeat;
  }

  // What was seen

  /** A reply to a request that was sent at `sentAt` shows the Lease, or that there is none. */
  replied(lease: LeaseSnapshot | undefined, sentAt: number, at: Reading): Sighting | undefined {
    const { known } = this;
    const hint = this.#hint;
    const version = lease === undefined ? 0n : BigInt(lease.resourceVersion);
    if (hint !== undefined && sentAt < hint.at && version < hint.version) return undefined;
    if (known.kind === 'lease' && lease !== undefined) {
      if (known.seenAt >= sentAt && version < versionOf(known)) return undefined;
    } else if (known.kind !== 'nothing' && known.seenAt > sentAt) {
      if (known.kind === 'lease' || lease !== undefined) this.#doubt();
      return undefined;
    }
    return this.#accept(lease, sentAt, at);
  }

  /** The reply to a write shows what was stored. What is newer was written on top of that. */
  written(lease: LeaseSnapshot, sentAt: number, at: Reading): Sighting | undefined {
    if (BigInt(lease.resourceVersion) < versionOf(this.known)) return undefined;
    return this.replied(lease, sentAt, at);
  }

  /** A watch event shows the Lease. */
  shown(lease: LeaseSnapshot, at: Reading): Sighting | undefined {
    const { known } = this;
    const version = BigInt(lease.resourceVersion);
    if (version <= versionOf(known)) return undefined;
    if (known.kind === 'lease' && known.snapshot.uid === lease.uid) return this.#accept(lease, at.now, at);
    if (known.kind === 'nothing') return this.#accept(lease, at.now, at);
    if (known.kind === 'absent') {
      if (this.#attempts.some((one) => one.counts && isSame(one.record, lease.record))) return undefined;
      const shown = this.#show(known, lease, at);
      const owed = Math.max(known.owed, shown.owed, this.#owedWhileAbsent(shown, at));
      this.known = { ...known, version, owed, shown };
    } else this.known = { ...known, isReplaced: true };
    // Which of the two exists, only a read tells.
    this.#hint = { version, at: at.now, owedMs: this.#longer(lease.record) };
    this.#doubt();
    return undefined;
  }

  /** A watch event shows that the Lease was deleted. */
  deleted(resourceVersion: string, at: Reading): Sighting | undefined {
    const { known } = this;
    const hint = this.#hint;
    const version = BigInt(resourceVersion);
    if (known.kind === 'absent' || version <= versionOf(known)) return undefined;
    const seen = this.#accept(undefined, at.now, at, version);
    if (hint !== undefined && hint.version > version) {
      this.#hint = hint;
      this.#doubt();
    }
    return seen;
  }

  watchOpened(now: number): void {
    if (this.known.kind === 'lease' && this.known.own === undefined) this.gapSince = now;
  }

  /** Rules 1 and 7: whether the record is ours, and its validity lasts. */
  #lasts({ own, isReplaced }: SeenLease, { now, date }: Reading): boolean {
    if (own === undefined || isReplaced) return false;
    const sent = { monotonic: own.sentAt, wall: own.sentOn };
    return isCertain(numbers, { monotonic: now, wall: date }, sent, this.options.renewDeadline);
  }

  #accept(
    lease: LeaseSnapshot | undefined,
    askedAt: number,
    at: Reading,
    deletion?: bigint,
  ): Sighting | undefined {
    const { known } = this;
    const hint = this.#hint;
    this.mustRead = false;
    this.mayRead = false;
    this.#hint = undefined;
    let proved: Attempt | undefined;
    if (lease === undefined) {
      const owed = Math.max(
        this.#owedAfterLoss(known, at, deletion),
        hint === undefined ? LONG_AGO : at.now + hint.owedMs,
      );
      this.known = {
        kind: 'absent',
        version: deletion ?? versionOf(known),
        seenAt: at.now,
        owed,
        shown: undefined,
      };
    } else {
      // The server has lost what was newer: such a sighting proves nothing.
      const isOld = BigInt(lease.resourceVersion) < versionOf(known);
      this.known = this.#see(known, lease, at);
      const shown = this.#attempts.find((one) => one.counts && isSame(one.record, lease.record));
      if (!isOld) proved = shown;
      this.#attempts = this.#attempts.map((one) => (one === shown ? { ...one, counts: false } : one));
    }
    if (proved !== undefined || askedAt >= (this.gapSince ?? LONG_AGO)) this.gapSince = undefined;
    return { proved };
  }

  #see(before: Known, lease: LeaseSnapshot, at: Reading): SeenLease {
    const shown =
      before.kind === 'absent' && before.shown?.snapshot.uid === lease.uid ? before.shown : undefined;
    const known = shown ?? before;
    const owedSince = shown?.owed ?? LONG_AGO;
    const isOld = BigInt(lease.resourceVersion) < versionOf(before);
    const own = isOld ? undefined : this.#ownOf(lease.record);
    if (known.kind !== 'lease' || known.snapshot.uid !== lease.uid)
      return this.#first(lease, at, own, this.#owedAfterLoss(before, at), known);
    const same = { ...known, snapshot: lease, seenAt: at.now };
    if (isSame(known.snapshot.record, lease.record)) {
      const heldUntil = Math.max(known.heldUntil, owedSince);
      const owed = Math.max(known.owed, owedSince);
      if (isOld) return { ...same, heldUntil, owed, own: undefined, touch: 'none' };
      if (known.own !== undefined || lease.ageMs === undefined) return { ...same, heldUntil, owed };
      return {
        ...same,
        owed,
        heldUntil: Math.max(owed, Math.min(heldUntil, this.#owedTo(lease, at, undefined))),
      };
    }
    if (!isOld && own === undefined && this.#isTouch(known, lease.record, at)) {
      const lastTouch = { seenAt: at.now, renewTime: lease.record.renewTime };
      return { ...same, touch: 'unanswered', lastTouch, heldUntil: this.#owedTo(lease, at, undefined) };
    }
    const owed = isOld
      ? this.#owedAfterLoss(before, at)
      : Math.max(this.#owedAfterEdit(known, lease.record, at), owedSince);
    return this.#first(lease, at, own, owed, known);
  }

  /** A record that is seen for the first time. */
  #first(
    lease: LeaseSnapshot,
    at: Reading,
    own: Attempt | undefined,
    owedNow: number,
    known: Known,
  ): SeenLease {
    const owed = Math.max(owedNow, known.kind === 'lease' ? known.owed : LONG_AGO);
    return {
      kind: 'lease',
      snapshot: lease,
      seenAt: at.now,
      own,
      isReleaseSent: false,
      isReplaced: false,
      touch:
        own !== undefined && known.kind === 'lease' && known.touch === 'unanswered' ? 'answered' : 'none',
      lastTouch:
        own !== undefined && known.kind === 'lease' && known.own !== undefined ? known.lastTouch : undefined,
      heldUntil: Math.max(this.#owedTo(lease, at, own), owed),
      owed,
    };
  }

  /** A watch event shows a Lease while none is known. */
  #show(known: NoLease, lease: LeaseSnapshot, at: Reading): SeenLease {
    const again = known.shown?.snapshot.uid === lease.uid ? known.shown : undefined;
    const owed = again?.owed ?? this.#owedAfterLoss(known, at);
    const own = this.#ownOf(lease.record);
    const seen =
      again === undefined ? this.#first(lease, at, own, LONG_AGO, known) : this.#see(again, lease, at);
    const heldUntil = again === undefined ? this.#owedWhileAbsent({ ...seen, own }, at) : seen.heldUntil;
    return { ...seen, owed, heldUntil };
  }

  /** Rule 3: until when the holder in an event is owed the lease. From our own record another may have taken over as late as now. */
  #owedWhileAbsent(shown: SeenLease, at: Reading): number {
    const isOurs = this.#lasts({ ...shown, isReplaced: false }, at);
    return isOurs ? LONG_AGO : this.#owedTo(shown.snapshot, at, undefined);
  }

  /** Rule 1: until when the holder in a record is owed the lease. */
  #owedTo({ record, ageMs = 0 }: LeaseSnapshot, { now }: Reading, own: Attempt | undefined): number {
    if (record.holderIdentity === '') return LONG_AGO;
    const from = own?.sentAt ?? now;
    // Not written by a claim: a name was entered by hand, perhaps over that of a holder that is still certain of the lease.
    if (record.acquireTime === undefined) return from + this.#longer(record);
    const { leaseDurationSeconds: seconds } = record;
    return (
      (own === undefined ? from - ageMs : from) +
      (seconds === undefined ? this.options.leaseDuration : seconds * 1_000)
    );
  }

  /** Rule 3: until when the holder of a Lease that is gone is owed it. */
  #owedAfterLoss(known: Known, at: Reading, deletion?: bigint): number {
    if (known.kind === 'nothing')
      return deletion === undefined ? LONG_AGO : at.now + this.options.leaseDuration;
    if (known.kind === 'absent')
      return known.shown === undefined
        ? known.owed
        : Math.max(known.owed, this.#owedAfterLoss(known.shown, at));
    if (!known.isReleaseSent && this.#lasts(known, at)) return known.owed;
    return Math.max(known.heldUntil, at.now + this.#longer(known.snapshot.record));
  }

  /** Rule 3: until when the holder before is owed a lease that was changed in another form than a release or a claim. */
  #owedAfterEdit(known: SeenLease, record: LeaseRecord, at: Reading): number {
    if (!known.isReleaseSent && this.#lasts(known, at)) return LONG_AGO;
    const before = known.snapshot.record;
    const isOurs = known.own !== undefined;
    if (record.holderIdentity !== '')
      return record.acquireTime === undefined && !isOurs ? known.heldUntil : LONG_AGO;
    if (isRelease(before, record)) return LONG_AGO;
    if (record.renewTime === before.renewTime) return isOurs ? LONG_AGO : known.heldUntil;
    return Math.max(known.heldUntil, at.now + this.#longer(record));
  }

  /** Rule 6: within our validity nobody can have taken the lease, so other times in our record are a touch; a second may be a namesake. */
  #isTouch(known: SeenLease, record: LeaseRecord, at: Reading): boolean {
    const ours = known.snapshot.record;
    const { lastTouch, touch } = known;
    const mayBeRenewal =
      lastTouch?.renewTime !== undefined &&
      record.renewTime !== undefined &&
      record.renewTime > lastTouch.renewTime &&
      at.now < lastTouch.seenAt + this.options.leaseDuration;
    return (
      touch === 'none' &&
      !mayBeRenewal &&
      this.#lasts(known, at) &&
      record.holderIdentity === ours.holderIdentity &&
      record.leaseDurationSeconds === ours.leaseDurationSeconds &&
      record.acquireTime === ours.acquireTime
    );
  }

  /** Rule 7: our write, if the record is exactly what it wrote. */
  #ownOf(record: LeaseRecord): Attempt | undefined {
    if (record.holderIdentity !== this.options.identity) return undefined;
    const own =
      this.#stored !== undefined && isSame(this.#stored.record, record)
        ? this.#stored
        : this.#attempts.find((one) => isSame(one.record, record));
    this.#stored = own ?? this.#stored;
    return own;
  }

  #isKnown(base: LeaseSnapshot | undefined): boolean {
    return this.known.kind === 'lease'
      ? base?.resourceVersion === this.known.snapshot.resourceVersion
      : base === undefined;
  }

  #longer({ leaseDurationSeconds: seconds = 0 }: LeaseRecord): number {
    return Math.max(seconds * 1_000, this.options.leaseDuration);
  }

  #doubt(): void {
    this.mustRead = true;
    this.mayRead = true;
  }
}

/** Why a write failed. */
interface Failure {
  readonly maybeCommitted: boolean;
  readonly isInvalid: boolean;
  /** Rule 9: it failed for a passing reason, so a claim may be made again at once. */
  readonly mayRepeat: boolean;
}

function versionOf(known: Known): bigint {
  if (known.kind === 'lease') return BigInt(known.snapshot.resourceVersion);
  return known.kind === 'absent' ? known.version : 0n;
}

/** Whether two records have equal fields in the spec of the Lease. */
export function isSame(a: LeaseRecord, b: LeaseRecord): boolean {
  return (
    a.holderIdentity === b.holderIdentity &&
    a.renewTime === b.renewTime &&
    a.acquireTime === b.acquireTime &&
    a.leaseDurationSeconds === b.leaseDurationSeconds &&
    a.leaseTransitions === b.leaseTransitions
  );
}

/** Whether a record without a holder was written by its holder: it has new, equal times, or none. */
function isRelease(before: LeaseRecord, record: LeaseRecord): boolean {
  const { renewTime, acquireTime, leaseDurationSeconds: seconds = 1, leaseTransitions } = record;
  if (renewTime === undefined) return true;
  const hasNewTimes =
    renewTime === acquireTime && renewTime !== before.renewTime && acquireTime !== before.acquireTime;
  const keepsCount = leaseTransitions !== undefined && leaseTransitions === before.leaseTransitions;
  return hasNewTimes && (seconds === 1 || keepsCount);
}
