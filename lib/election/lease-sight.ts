/**
 * All that this process knows of the lease: what it saw last, through any channel, and what it wrote itself.
 *
 * Channels overtake each other: a reply may arrive after a watch event that tells of later things, and the
 * other way round. A sight counts only if it is newer than what is known, or was asked for after that.
 */
import { after, later, type Clock, type MonotonicMs } from './clock.js';
import type { LeaseRequestError } from './errors.js';
import { isNewer, type LeaseSnapshot } from './lease-lock.js';
import type { LeaseRecord } from './lease-record.js';
import { versionOf, type Hearing, type Observation, type Sent } from './observation.js';
import { hearWhileAbsent, observe } from './observe.js';
import type { ResolvedElectionOptions } from './options.js';
import { WriteLedger, type WriteAttempt } from './write-ledger.js';

/** What a sight amounts to. */
export type Sighting =
  | { readonly kind: 'stale' }
  /** `proved`: the write of ours that it shows to have succeeded. */
  | {
      readonly kind: 'news';
      readonly proved: WriteAttempt | undefined;
      /** The lease is not as it was last seen. */
      readonly moved: boolean;
    };

/** The options that govern what is known of the lease. */
export type SightOptions = Pick<ResolvedElectionOptions, 'identity' | 'leaseDuration' | 'renewDeadline'>;

const STALE: Sighting = { kind: 'stale' };

/** See the head of the file. */
export class LeaseSight {
  readonly ledger = new WriteLedger();
  readonly #identity: string;
  readonly #clock: Pick<Clock, 'date'>;
  readonly #hearing: Pick<Hearing, 'leaseDuration' | 'renewDeadline' | 'candidate'>;
  #observation: Observation = { kind: 'unseen' };
  #doubtful = false;
  /** A watch event showed a Lease that no read has confirmed. If a read finds it gone, its holder is owed `owedMs` from then. */
  #hint: { readonly version: string; readonly at: MonotonicMs; readonly owedMs: number } | undefined;

  /** @param coordinated The server says who is to hold the lease. */
  constructor(options: SightOptions, clock: Pick<Clock, 'date'>, coordinated = false) {
    this.#clock = clock;
    const { identity, leaseDuration, renewDeadline } = options;
    this.#identity = identity;
    this.#hearing = { leaseDuration, renewDeadline, candidate: coordinated ? identity : undefined };
  }

  get observation(): Observation {
    return this.#observation;
  }

  /** Something said that the observation is stale; only a new sight helps. */
  get doubtful(): boolean {
    return this.#doubtful;
  }

  /** The lease as last seen, if it is there, we wrote it, and nothing speaks against it. */
  get ours(): LeaseSnapshot | undefined {
    const { kind } = this.#observation;
    return kind === 'present' && this.#observation.mine && !this.#doubtful
      ? this.#observation.snapshot
      : undefined;
  }

  /** The lease as last seen is ours, whatever has spoken against it since. */
  get wasOurs(): boolean {
    return this.#observation.kind === 'present' && this.#observation.mine;
  }

  /** The lease is ours, or may be: something speaks against what was seen, or a write is out. */
  get mayBeOurs(): boolean {
    return this.ours !== undefined || this.#doubtful || this.ledger.waiting;
  }

  /** When this process sent a record that names it: held by this very process, and by no other of its name. */
  #sendingOf(record: LeaseRecord): Sent | undefined {
    return record.holderIdentity === this.#identity ? this.ledger.sendingOf(record) : undefined;
  }

  /** A watch event shows the lease. */
  toldOf(lease: LeaseSnapshot, now: MonotonicMs): Sighting {
    const known = this.#observation;
    if (!isNewer(lease.resourceVersion, versionOf(known))) return STALE;
    if (known.kind === 'present' && known.snapshot.uid !== lease.uid) {
      // Made anew, or not this Lease at all: an event may be wrong in any way, a read is not.
      this.#hintAt(lease, now);
      // If the read finds no Lease, the holder in the event must be respected all the same.
      this.#observation = { ...known, validity: undefined };
      return STALE;
    }
    if (known.kind === 'absent') {
      if (this.ledger.awaits(lease.record)) return STALE;
      // It may be older than the deletion, whose version is not always known. Only a read can tell; but whoever holds
      // it is respected even if by then it is gone.
      const hearing = {
        ...this.#hearing,
        seenAt: now,
        seenOn: this.#clock.date(),
        sent: this.#sendingOf(lease.record),
      };
      this.#observation = hearWhileAbsent(known, lease, hearing);
      this.#hintAt(lease, now);
      return { kind: 'news', proved: undefined, moved: true };
    }
    return this.#accept(lease, now);
  }

  /** A watch event says that the lease was deleted. */
  toldOfDeletion(resourceVersion: string, now: MonotonicMs): Sighting {
    const known = this.#observation;
    if (known.kind === 'absent' || !isNewer(resourceVersion, versionOf(known))) return STALE;
    const hint = this.#hint;
    const sighting = this.#accept(undefined, now, resourceVersion);
    // A newer Lease was seen in an event before: this deletion is not about that one.
    if (hint !== undefined && isNewer(hint.version, resourceVersion)) {
      this.#hint = hint;
      this.#doubtful = true;
    }
    return sighting;
  }

  #hintAt({ record, resourceVersion: version }: LeaseSnapshot, at: MonotonicMs): void {
    const seconds = record.leaseDurationSeconds ?? 0;
    this.#hint = { version, at, owedMs: Math.max(seconds * 1000, this.#hearing.leaseDuration) };
    this.#doubtful = true;
  }

  /** The reply to a write that was sent at `sentAt` shows what it wrote; what is newer was written on top of that. */
  written(lease: LeaseSnapshot, sentAt: MonotonicMs, now: MonotonicMs): Sighting {
    return isNewer(versionOf(this.#observation), lease.resourceVersion)
      ? STALE
      : this.found(lease, sentAt, now);
  }

  /** The reply to a request that was sent at `sentAt` shows the lease, or that there is none. */
  found(lease: LeaseSnapshot | undefined, sentAt: MonotonicMs, now: MonotonicMs): Sighting {
    const known = this.#observation;
    const hint = this.#hint;
    // What was asked before that, and shows none so new, cannot tell whether it is there.
    if (hint !== undefined && sentAt < hint.at && isNewer(hint.version, lease?.resourceVersion ?? '0'))
      return STALE;
    if (known.kind === 'present' && lease !== undefined) {
      // At one instant, too: the clock stands still while the machine is suspended, and what came in then is heard at once.
      const mayBeOvertaken = known.seenAt >= sentAt;
      if (mayBeOvertaken && isNewer(known.snapshot.resourceVersion, lease.resourceVersion)) return STALE;
    } else if (known.kind !== 'unseen' && known.seenAt > sentAt) {
      // One says present, the other gone, and which came later cannot be told. Look again.
      if (known.kind === 'present' || lease !== undefined) this.#doubtful = true;
      return STALE;
    }
    return this.#accept(lease, now);
  }

  /** Another's lease may be gone without anybody having said so. Look again. */
  question(): void {
    if (this.#observation.kind === 'present' && !this.#observation.mine) this.#doubtful = true;
  }

  /**
   * `attempt` failed. Look again if it may have been carried out all the same, and if the server found it invalid: perhaps
   * what it was based on is not what we take it for.
   *
   * @param lookAgain false: what is known is newer than the attempt, or another will tell.
   */
  failed(
    attempt: WriteAttempt,
    { code, maybeCommitted }: LeaseRequestError,
    { lookAgain } = { lookAgain: true },
  ): void {
    if (!maybeCommitted) this.ledger.refused(attempt);
    const mayBeStale = maybeCommitted || code === 'LEADER_REQUEST_INVALID';
    if (lookAgain && mayBeStale && this.#isCurrent(attempt)) this.#doubtful = true;
  }

  /**
   * The server refused `attempt` because the lease is not what it was based on. Perhaps it is not because the attempt has
   * changed it: somebody on the way may have sent it twice. What is seen next tells.
   */
  refused(attempt: WriteAttempt): void {
    if (this.#isCurrent(attempt)) this.#doubtful = true;
  }

  #isCurrent({ base }: WriteAttempt): boolean {
    const known = this.#observation;
    if (known.kind !== 'present') return base === undefined;
    return base?.resourceVersion === known.snapshot.resourceVersion;
  }

  #accept(lease: LeaseSnapshot | undefined, now: MonotonicMs, deletion?: string): Sighting {
    const known = this.#observation;
    const moved =
      lease === undefined
        ? known.kind !== 'absent'
        : known.kind !== 'present' || known.snapshot.resourceVersion !== lease.resourceVersion;
    // A reply that shows an older version than was seen before proves nothing: the server has lost what came after.
    const isOld = lease !== undefined && isNewer(versionOf(known), lease.resourceVersion);
    const proved = lease === undefined || isOld ? undefined : this.ledger.settle(lease);
    const sent = lease === undefined || isOld ? undefined : this.#sendingOf(lease.record);
    const hearing = { ...this.#hearing, seenAt: now, seenOn: this.#clock.date(), sent };
    const observation = observe(known, lease, deletion === undefined ? hearing : { ...hearing, deletion });
    const hint = this.#hint;
    // Whoever is in a Lease that was told of may have renewed it until now, when it is found gone.
    this.#observation =
      observation.kind === 'absent' && hint !== undefined
        ? { ...observation, heldUntil: later(observation.heldUntil, after(now, hint.owedMs)) }
        : observation;
    this.#doubtful = false;
    this.#hint = undefined;
    return { kind: 'news', proved, moved };
  }
}
