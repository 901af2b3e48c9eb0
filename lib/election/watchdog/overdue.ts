import { after, type MonotonicMs } from '../clock.js';

/** What client-go's `Check` looks at. */
export interface OverdueFacts {
  /** This process acts as leader: in a term, or in work of one. */
  readonly acting: boolean;
  /** The last proof that the lease was ours, monotonic. */
  readonly provedAt: MonotonicMs;
  readonly leaseDuration: number;
  /** How much longer than the lease an unproved leader is tolerated, in milliseconds. */
  readonly maxTolerableExpiredLease: number;
}

/**
 * Whether a process acts as leader although its lease ran out: by how many milliseconds beyond what is tolerated, or
 * undefined when all is well. Following is well, however long nothing was heard.
 *
 * @see client-go `LeaderElector.Check`
 */
export function overdueBy(facts: OverdueFacts, now: MonotonicMs): number | undefined {
  if (!facts.acting) return undefined;
  const overdue = now - after(facts.provedAt, facts.leaseDuration + facts.maxTolerableExpiredLease);
  return overdue > 0 ? overdue : undefined;
}
