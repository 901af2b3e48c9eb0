import { after, type MonotonicMs } from '../clock.js';

/** What client-go's `Check` depends on. */
export interface OverdueFacts {
  /** This process acts as leader: it is in a term, or work of a term still runs. */
  readonly acting: boolean;
  /** When the lease was last proven ours, by the monotonic clock. */
  readonly provedAt: MonotonicMs;
  readonly leaseDuration: number;
  /** For how many milliseconds after its lease expired a leader is tolerated. */
  readonly maxTolerableExpiredLease: number;
}

/**
 * By how many milliseconds a process acts as leader longer than is tolerated after its lease expired; undefined if it does
 * not. A follower is never overdue, however long ago it last heard of the lease.
 *
 * @see client-go `LeaderElector.Check`
 */
export function overdueBy(facts: OverdueFacts, now: MonotonicMs): number | undefined {
  if (!facts.acting) return undefined;
  const overdue = now - after(facts.provedAt, facts.leaseDuration + facts.maxTolerableExpiredLease);
  return overdue > 0 ? overdue : undefined;
}
