/**
 * Releases the lease, within a bounded time (ARCHITECTURE.md, rules 10 and 11). Pure: it says what to send next, and the
 * machine, which sends it, notes the outcome here.
 *
 * The release is written on top of the record seen last; if that may not be ours or not be current, a read goes first. A
 * record that is not ours is never overwritten: another process may have taken over.
 */
import { LONG_AGO, after, earlier, later, type MonotonicMs } from './clock.js';
import type { LeaseRequestError } from './errors.js';
import type { LeaseSnapshot } from './lease.js';
import { heldUntil, owesToOthers } from './observation.js';
import { patienceFor } from './pacing.js';
import { ours, wasOurs, type Sight } from './sight.js';

/** The state of a release. */
export interface Release {
  readonly retryPeriod: number;
  /** When to give up, at the latest when the lease has expired by itself. */
  readonly until: MonotonicMs;
  /** How many of its writes have failed. */
  readonly writes: number;
  /** A read must show that the lease is ours before the next write. */
  readonly mustRead: boolean;
  /** Nothing is sent before this. */
  readonly notBefore: MonotonicMs;
  /** The last failure. */
  readonly problem: LeaseRequestError | undefined;
}

/** The next step of a release. */
export type ReleaseStep =
  | { readonly do: 'read'; readonly patienceMs: number }
  | { readonly do: 'write'; readonly base: LeaseSnapshot; readonly patienceMs: number }
  | { readonly do: 'wait'; readonly until: MonotonicMs }
  /** There is nothing to release: no Lease, no holder, another holder, or an earlier holder that must be respected. */
  | { readonly do: 'leave' }
  /** The release did not succeed in time: the lease expires by itself. */
  | { readonly do: 'giveUp' };

/** A release is retried faster than a claim: other candidates wait for the lease, and this process wants to exit. */
const RETRIES_PER_RETRY_PERIOD = 4;

/** A release that begins now. */
export function newRelease(
  sight: Sight,
  now: MonotonicMs,
  { renewDeadline, retryPeriod }: { readonly renewDeadline: number; readonly retryPeriod: number },
): Release {
  const lasts = wasOurs(sight) ? Math.max(heldUntil(sight.observation) - now, retryPeriod) : renewDeadline;
  return {
    retryPeriod,
    until: after(now, Math.min(lasts, renewDeadline)),
    writes: 0,
    mustRead: ours(sight) === undefined,
    notBefore: LONG_AGO,
    problem: undefined,
  };
}

/** The next step of `release`. */
export function nextOfRelease(release: Release, sight: Sight, now: MonotonicMs): ReleaseStep {
  const { until, notBefore, mustRead, retryPeriod } = release;
  if (now >= until) return { do: 'giveUp' };
  if (now < notBefore) return { do: 'wait', until: notBefore };
  // Other candidates wait for the lease, so a request that hangs is given one retryPeriod at most.
  const patienceMs = Math.min(patienceFor(until - now), retryPeriod);
  const base = ours(sight);
  if (mustRead || sight.doubtful) return { do: 'read', patienceMs };
  // While an earlier holder must be respected the lease is left to expire: once released, it would be claimed at once.
  if (base === undefined || owesToOthers(sight.observation, now)) return { do: 'leave' };
  return { do: 'write', base, patienceMs };
}

/** A read of the release was answered. */
export function releaseRead(release: Release): Release {
  return { ...release, mustRead: false };
}

/** A read of the release failed. */
export function releaseReadFailed(
  release: Release,
  error: LeaseRequestError,
  sentAt: MonotonicMs,
  now: MonotonicMs,
): Release {
  return { ...release, problem: error, notBefore: pausedUntil(release, error, sentAt, now) };
}

/** A write of the release was refused as a conflict (no error), or failed. A read comes next. */
export function releaseWriteFailed(
  release: Release,
  error: LeaseRequestError | undefined,
  sentAt: MonotonicMs,
  now: MonotonicMs,
): Release {
  // The read after the first conflict goes at once; after that there is a pause.
  const isFirstConflict = error === undefined && release.writes === 0;
  return {
    ...release,
    writes: release.writes + 1,
    mustRead: true,
    problem: error ?? release.problem,
    notBefore: isFirstConflict ? LONG_AGO : pausedUntil(release, error, sentAt, now),
  };
}

/** The pause counts from the sending, so a request that failed slowly is repeated at once. */
function pausedUntil(
  { retryPeriod, until }: Release,
  error: LeaseRequestError | undefined,
  sentAt: MonotonicMs,
  now: MonotonicMs,
): MonotonicMs {
  const again = after(sentAt, retryPeriod / RETRIES_PER_RETRY_PERIOD);
  return later(again, earlier(after(now, error?.retryAfterMs ?? 0), until));
}
