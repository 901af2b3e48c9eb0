import { isNewer, type LeaseSnapshot } from '../../election/internal.js';

/**
 * The holders of a Lease that a process was shown, since it was last shown that there is no Lease. An event about a
 * Lease with another uid is only a hint, and counts when a reply shows that Lease.
 */
export class LeaderSights {
  #newest: LeaseSnapshot | undefined;
  #sawNone = false;
  /** Earlier holders of this Lease. */
  #past = new Set<string>();

  /** Notes that the Lease was shown; undefined: that there is none. */
  note(lease: LeaseSnapshot | undefined, by: 'reply' | 'event'): void {
    const newest = this.#newest;
    if (by === 'event' && lease !== undefined && this.#knowsNone(lease)) return;
    if (lease === undefined || newest?.uid !== lease.uid) {
      // It is not known which of two Leases came first.
      this.#newest = lease;
      this.#sawNone = lease === undefined;
      this.#past = new Set();
    } else if (isNewer(lease.resourceVersion, newest.resourceVersion)) {
      this.#past.add(newest.record.holderIdentity);
      this.#newest = lease;
    } else {
      this.#past.add(lease.record.holderIdentity);
    }
  }

  #knowsNone({ uid }: LeaseSnapshot): boolean {
    return this.#newest === undefined ? this.#sawNone : this.#newest.uid !== uid;
  }

  /** The holder that was shown last; empty: none. */
  get holder(): string {
    return this.#newest?.record.holderIdentity ?? '';
  }

  /** Whether somebody else has held the Lease since `holder` did. */
  isPast(holder: string): boolean {
    return (
      this.#newest !== undefined && this.#newest.record.holderIdentity !== holder && this.#past.has(holder)
    );
  }
}
