/** Gives the lease up, and makes sure of it within a bound (design.md §4, rules 10 and 11). */
import { after, type Clock } from './clock.js';
import type { LeaseLock, LeaseSnapshot } from './lease-lock.js';
import type { LeaseRecord } from './lease-record.js';
import { patienceFor, type LeaseRequests } from './lease-requests.js';
import type { LeaderError } from './errors.js';

/** What came of a release. In each case this process holds the lease no more. */
export type ReleaseOutcome =
  | { readonly kind: 'released'; readonly snapshot: LeaseSnapshot }
  /** Nothing to release: no Lease, no holder, or another one. */
  | { readonly kind: 'notOurs' }
  /** Not made sure of in time: the lease runs out by itself. */
  | { readonly kind: 'unknown'; readonly error: LeaderError | undefined };

/** What a release needs. */
export interface ReleaseTools {
  readonly lock: LeaseLock;
  readonly requests: LeaseRequests;
  readonly clock: Clock;
  /** Makes the record to write on top of another, and remembers it as ours. */
  readonly recordFor: (current: LeaseRecord) => LeaseRecord;
  /** Whether we wrote that record, and it names us. */
  readonly isOurs: (record: LeaseRecord) => boolean;
  /** How long to try. */
  readonly renewDeadline: number;
  readonly retryPeriod: number;
}

/** How much faster than campaigning: somebody waits for the lease, and the process wants to end. */
const RETRIES_PER_RETRY_PERIOD = 4;

/**
 * Writes the release on top of `base`, or of what a read finds if `base` is undefined or no longer current. A
 * record that is not ours is never touched: between two looks another may have taken over.
 */
export async function releaseLease(
  base: LeaseSnapshot | undefined,
  tools: ReleaseTools,
): Promise<ReleaseOutcome> {
  const { clock, requests, lock } = tools;
  const until = after(clock.now(), tools.renewDeadline);
  let current = base;
  let problem: LeaderError | undefined;
  for (let left: number = tools.renewDeadline; left > 0; left = until - clock.now()) {
    if (current === undefined) {
      const read = await requests.send(patienceFor(left), (call) => lock.get(call));
      if (!read.ok) {
        problem = read.error;
        await pause(clock, tools.retryPeriod / RETRIES_PER_RETRY_PERIOD);
        continue;
      }
      if (read.value === undefined || !tools.isOurs(read.value.record)) return { kind: 'notOurs' };
      current = read.value;
    }
    const onTopOf = current;
    const record = tools.recordFor(onTopOf.record);
    const write = await requests.send(patienceFor(left), (call) => lock.update(onTopOf, record, call));
    if (write.ok && write.value.kind === 'written')
      return { kind: 'released', snapshot: write.value.snapshot };
    if (!write.ok) problem = write.error;
    current = undefined;
  }
  return { kind: 'unknown', error: problem };
}

function pause(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.setTimer(delayMs, resolve);
  });
}
