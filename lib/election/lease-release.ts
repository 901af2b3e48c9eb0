/** Gives the lease up, and makes sure of it within a bound (design.md §4, rules 10 and 11). */
import { LONG_AGO, after, earlier, later, type Clock, type MonotonicMs } from './clock.js';
import { writeRecord } from './kept-write.js';
import type { LeaseLock, LeaseSnapshot } from './lease-lock.js';
import type { LeaseSight } from './lease-sight.js';
import type { Observation } from './observation.js';
import type { ResolvedElectionOptions } from './options.js';
import type { OwnRecords } from './own-records.js';
import { patienceFor, type LeaseRequests } from './lease-requests.js';
import type { LeaderError, LeaseRequestError } from './errors.js';

/** What came of a release. In each case this process holds the lease no more. */
export type ReleaseOutcome =
  | { readonly kind: 'released'; readonly stored: LeaseSnapshot; readonly sentAt: MonotonicMs }
  /** Nothing to release: no Lease, no holder, another one, or another one to be respected; and what a look at it showed, if there was one. */
  | { readonly kind: 'notOurs'; readonly found?: Found }
  /** Not made sure of in time: the lease runs out by itself. */
  | { readonly kind: 'unknown'; readonly error: LeaderError | undefined };

/** What a reply showed, and when its request was sent: it is no news if something later was heard of meanwhile. */
export interface Found {
  readonly lease: LeaseSnapshot | undefined;
  readonly sentAt: MonotonicMs;
}

/** What a release needs. */
export interface ReleaseTools {
  readonly lock: LeaseLock;
  readonly requests: LeaseRequests;
  readonly clock: Clock;
  readonly records: OwnRecords;
  readonly sight: LeaseSight;
  readonly options: Pick<ResolvedElectionOptions, 'renewDeadline' | 'retryPeriod'>;
}

/** How much faster than campaigning: somebody waits for the lease, and the process wants to end. */
const RETRIES_PER_RETRY_PERIOD = 4;

/**
 * Writes the release on top of what was seen last, or of what a read finds if that is not ours or no longer current. A
 * record that is not ours is never touched: between two looks another may have taken over.
 */
export async function releaseLease(tools: ReleaseTools): Promise<ReleaseOutcome> {
  const { clock, requests, lock, records, sight, options } = tools;
  const { retryPeriod } = options;
  const until = after(clock.now(), timeToRelease(sight.observation, clock.now(), options));
  // Somebody waits for the lease: a connection that hangs is given no longer than a retryPeriod.
  const patience = (): number => Math.min(patienceFor(until - clock.now()), retryPeriod);
  // What took its time to fail has been waited for already.
  const pauseAfter = (sentAt: MonotonicMs, error: LeaseRequestError | undefined): Promise<void> => {
    const again = after(sentAt, retryPeriod / RETRIES_PER_RETRY_PERIOD);
    const asked = earlier(after(clock.now(), error?.retryAfterMs ?? 0), until);
    return pause(clock, later(again, asked) - clock.now());
  };
  let current = sight.ours;
  let problem: LeaseRequestError | undefined;
  for (let writes = 0; clock.now() < until; writes++) {
    while (current === undefined && clock.now() < until) {
      const sentAt = clock.now();
      const read = await requests.send(patience(), (call) => lock.get(call));
      if (read.ok) {
        const lease = read.value;
        sight.found(lease, sentAt, clock.now());
        if (!sight.doubtful && sight.ours === undefined) return { kind: 'notOurs', found: { lease, sentAt } };
        current = sight.ours;
      } else {
        problem = read.error;
        await pauseAfter(sentAt, problem);
      }
    }
    if (current === undefined) break;
    // Whoever follows would take it for free, though the holder of a Lease before it is to be respected: it runs out instead.
    if (owesToOthers(sight.observation, clock.now())) return { kind: 'notOurs' };
    const onTopOf = current;
    const sentAt = clock.now();
    const record = records.toRelease(onTopOf.record);
    const write = await requests.send(patience(), (call) => writeRecord(lock, onTopOf, record, call));
    if (write.ok && write.value.kind === 'written')
      return { kind: 'released', stored: write.value.snapshot, sentAt };
    current = undefined;
    if (!write.ok) problem = write.error;
    // A first conflict is looked into at once; nothing is repeated as fast as it fails.
    if (!write.ok || writes > 0) await pauseAfter(sentAt, write.ok ? undefined : write.error);
  }
  return { kind: 'unknown', error: problem };
}

function owesToOthers(observation: Observation, now: MonotonicMs): boolean {
  return observation.kind === 'present' && (observation.owedBefore ?? LONG_AGO) > now;
}

/** How long to try: no longer than the lease lasts without us, for then it is free anyway. In milliseconds. */
function timeToRelease(
  observation: Observation,
  now: MonotonicMs,
  { renewDeadline, retryPeriod }: { renewDeadline: number; retryPeriod: number },
): number {
  if (observation.kind !== 'present' || !observation.mine) return renewDeadline;
  return Math.min(Math.max(observation.heldUntil - now, retryPeriod), renewDeadline);
}

function pause(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.setTimer(delayMs, resolve);
  });
}
