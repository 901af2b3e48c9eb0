/**
 * Gives the lease up, and makes sure of it within a bound (ARCHITECTURE.md, rules 10 and 11). Pure: it says what to send next,
 * and whoever sends it notes what came back.
 *
 * The release is written on top of what was seen last, or of what a read shows if that is not ours or no longer current. A
 * record that is not ours is never touched: between two looks another may have taken over.
 */
import { LONG_AGO, after, earlier, later, type MonotonicMs } from './clock.js';
import type { LeaseRequestError } from './errors.js';
import type { LeaseSnapshot } from './lease.js';
import { heldUntil, owesToOthers } from './observation.js';
import { patienceFor } from './pacing.js';
import { ours, wasOurs, type Sight } from './sight.js';

/** A release under way. */
export interface Release {
  readonly retryPeriod: number;
  /** No longer than the lease lasts without us, for then it is free anyway. */
  readonly until: MonotonicMs;
  /** How many writes of it have come to nothing. */
  readonly writes: number;
  /** A read must show that the lease is ours before it is written. */
  readonly mustRead: boolean;
  /** Nothing is sent before this. */
  readonly notBefore: MonotonicMs;
  /** What failed last. */
  readonly problem: LeaseRequestError | undefined;
}

/** What to do next about a release. */
export type ReleaseStep =
  | { readonly do: 'read'; readonly patienceMs: number }
  | { readonly do: 'write'; readonly base: LeaseSnapshot; readonly patienceMs: number }
  | { readonly do: 'wait'; readonly until: MonotonicMs }
  /** There is nothing to release: no Lease, no holder, another one, or another one to be respected. */
  | { readonly do: 'leave' }
  /** It was not made sure of in time: the lease runs out by itself. */
  | { readonly do: 'giveUp' };

/** How much faster than campaigning: somebody waits for the lease, and the process wants to end. */
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

/** What to do next. */
export function nextOfRelease(release: Release, sight: Sight, now: MonotonicMs): ReleaseStep {
  const { until, notBefore, mustRead, retryPeriod } = release;
  if (now >= until) return { do: 'giveUp' };
  if (now < notBefore) return { do: 'wait', until: notBefore };
  // Somebody waits for the lease: a connection that hangs is given no longer than a retryPeriod.
  const patienceMs = Math.min(patienceFor(until - now), retryPeriod);
  const base = ours(sight);
  if (mustRead || (base === undefined && sight.doubtful)) return { do: 'read', patienceMs };
  // Whoever follows would take it for free, though the holder of a Lease before it is to be respected: it runs out instead.
  if (base === undefined || owesToOthers(sight.observation, now)) return { do: 'leave' };
  return { do: 'write', base, patienceMs };
}

/** A read of it was answered, and what it showed was noted. */
export function releaseRead(release: Release): Release {
  return { ...release, mustRead: false };
}

/** A read of it failed, which was sent at that instant. */
export function releaseReadFailed(
  release: Release,
  error: LeaseRequestError,
  sentAt: MonotonicMs,
  now: MonotonicMs,
): Release {
  return { ...release, problem: error, notBefore: pausedUntil(release, error, sentAt, now) };
}

/** A write of it came to nothing: it was refused as a conflict (no error), or failed. A read must show what is there. */
export function releaseWriteFailed(
  release: Release,
  error: LeaseRequestError | undefined,
  sentAt: MonotonicMs,
  now: MonotonicMs,
): Release {
  // A first conflict is looked into at once; nothing is repeated as fast as it fails.
  const isFirstConflict = error === undefined && release.writes === 0;
  return {
    ...release,
    writes: release.writes + 1,
    mustRead: true,
    problem: error ?? release.problem,
    notBefore: isFirstConflict ? LONG_AGO : pausedUntil(release, error, sentAt, now),
  };
}

/** The pause counts from the sending, so what failed slowly needs no further one. */
function pausedUntil(
  { retryPeriod, until }: Release,
  error: LeaseRequestError | undefined,
  sentAt: MonotonicMs,
  now: MonotonicMs,
): MonotonicMs {
  const again = after(sentAt, retryPeriod / RETRIES_PER_RETRY_PERIOD);
  return later(again, earlier(after(now, error?.retryAfterMs ?? 0), until));
}
