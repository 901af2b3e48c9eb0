/**
 * All that this process knows of the lease: what it saw last, through any channel, and what it wrote itself.
 *
 * Channels overtake each other: a reply may arrive after a watch event that tells of later things, and the
 * other way round. A sight counts only if it is newer than what is known, or was asked for after that.
 */
import type { MonotonicMs } from './clock.js';
import { isNewer, type LeaseSnapshot } from './lease-lock.js';
import type { LeaseRecord } from './lease-record.js';
import { versionOf, type Hearing, type Observation } from './observation.js';
import { hearWhileAbsent, observe } from './observe.js';
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

const STALE: Sighting = { kind: 'stale' };

/** See the head of the file. */
export class LeaseSight {
  readonly ledger = new WriteLedger();
  readonly #identity: string;
  readonly #hearing: Pick<Hearing, 'leaseDuration' | 'candidate'>;
  #observation: Observation = { kind: 'unseen' };
  #doubtful = false;

  /** @param coordinated The server says who is to hold the lease. */
  constructor(identity: string, leaseDuration: number, coordinated = false) {
    this.#identity = identity;
    this.#hearing = { leaseDuration, candidate: coordinated ? identity : undefined };
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

  /** The lease is ours, or may be: something speaks against what was seen, or a write is out. */
  get mayBeOurs(): boolean {
    return this.ours !== undefined || this.#doubtful || this.ledger.waiting;
  }

  /** A record of ours that names us: held by this very process, and by no other of its name. */
  isOurs(record: LeaseRecord): boolean {
    return record.holderIdentity === this.#identity && this.ledger.remembers(record);
  }

  /** A watch event shows the lease. */
  toldOf(lease: LeaseSnapshot, now: MonotonicMs): Sighting {
    const known = this.#observation;
    if (!isNewer(lease.resourceVersion, versionOf(known))) return STALE;
    if (known.kind === 'absent') {
      if (this.ledger.awaits(lease.record)) return STALE;
      // It may be older than the deletion, whose version is not always known. Only a read can tell; but whoever holds
      // it is respected even if by then it is gone.
      const mine = this.isOurs(lease.record);
      const hearing = { ...this.#hearing, seenAt: now, mine };
      this.#observation = hearWhileAbsent(known, lease, hearing);
      this.#doubtful = true;
      return { kind: 'news', proved: undefined, moved: true };
    }
    return this.#accept(lease, now);
  }

  /** A watch event says that the lease was deleted. */
  toldOfDeletion(resourceVersion: string, now: MonotonicMs): Sighting {
    const known = this.#observation;
    if (known.kind === 'absent' || !isNewer(resourceVersion, versionOf(known))) return STALE;
    return this.#accept(undefined, now, resourceVersion);
  }

  /** The reply to a request that was sent at `sentAt` shows the lease, or that there is none. */
  found(lease: LeaseSnapshot | undefined, sentAt: MonotonicMs, now: MonotonicMs): Sighting {
    const known = this.#observation;
    const overtaken = known.kind !== 'unseen' && known.seenAt > sentAt;
    if (overtaken && known.kind === 'present' && lease !== undefined) {
      if (isNewer(known.snapshot.resourceVersion, lease.resourceVersion)) return STALE;
    } else if (overtaken) {
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

  /** An answer to `attempt` did not come, or says that it failed without telling why. Look again. */
  doubt(attempt: WriteAttempt): void {
    if (this.#isCurrent(attempt)) this.#doubtful = true;
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
    const mine = lease !== undefined && !isOld && this.isOurs(lease.record);
    const hearing = { ...this.#hearing, seenAt: now, mine };
    this.#observation = observe(known, lease, deletion === undefined ? hearing : { ...hearing, deletion });
    this.#doubtful = false;
    return { kind: 'news', proved, moved };
  }
}
