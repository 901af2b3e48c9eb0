import { isNewer, type LeaseSnapshot } from '../../election/index.js';

/**
 * Whom a process was shown as the holder of a Lease since it last was shown that there was none. An event of another Lease
 * than it knows is a hint, and counts when a reply shows it.
 */
export class LeaderSights {
  #newest: LeaseSnapshot | undefined;
  #sawNone = false;
  /** Who held that Lease before. */
  #past = new Set<string>();

  /** The Lease was shown so, or that there is none. */
  note(lease: LeaseSnapshot | undefined, by: 'reply' | 'event'): void {
    const newest = this.#newest;
    if (by === 'event' && lease !== undefined && this.#knowsNone(lease)) return;
    if (lease === undefined || newest?.uid !== lease.uid) {
      // Which of two Leases came first cannot be told.
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

  /** Whether another has held the Lease since that one did. */
  isPast(holder: string): boolean {
    return (
      this.#newest !== undefined && this.#newest.record.holderIdentity !== holder && this.#past.has(holder)
    );
  }
}
