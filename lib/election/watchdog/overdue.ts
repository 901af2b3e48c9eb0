import { after, type MonotonicMs } from '../clock.js';

/** The inputs of client-go's `Check`. */
export interface OverdueFacts {
  /** This process acts as leader: it has a term, or work of a term still runs. */
  readonly acting: boolean;
  /** When the lease was last proven ours, by the monotonic clock. */
  readonly provedAt: MonotonicMs;
  readonly leaseDuration: number;
  /** How long a process may act as leader after its lease expired, in milliseconds. */
  readonly maxTolerableExpiredLease: number;
}

/**
 * By how many milliseconds a process exceeds the time that it may act as leader after its lease expired; undefined if it does
 * not. A follower is never overdue, however old its last sighting of the lease is.
 *
 * @see client-go `LeaderElector.Check`
 */
export function overdueBy(facts: OverdueFacts, now: MonotonicMs): number | undefined {
  if (!facts.acting) return undefined;
  const overdue = now - after(facts.provedAt, facts.leaseDuration + facts.maxTolerableExpiredLease);
  return overdue > 0 ? overdue : undefined;
}
