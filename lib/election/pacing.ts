/**
 * When the next request may be sent. Pure.
 *
 * Reads and writes each have a lane: one request at a time, the next when it was answered or when `retryPeriod` has passed
 * without a reply, and later if the server asks for that. Without a watch, a poll is due every retryPeriod; with one, a read
 * is due when the watch has missed two renewals.
 *
 * Whatever the server does, the rate of requests is bounded by `AT_ONCE`, and their number in flight by `MOST_UNANSWERED`.
 */
import { LONG_AGO, NEVER, after, later, type MonotonicMs } from './clock.js';
import type { LeaseRequestError } from './errors.js';
import { sameRecord, type LeaseRecord } from './lease.js';
import { holderIn, type Observation } from './observation.js';

/** The lane of a request. */
export type RequestKind = 'read' | 'write';

/** What the pace of a request depends on: the time, a random number, and the sender's term. */
export interface Sender {
  readonly now: MonotonicMs;
  /** In [0, 1). */
  readonly chance: number;
  /** Milliseconds for which this process' term is certain; undefined for a follower. */
  readonly validFor: number | undefined;
}

/** The options that the pace depends on. */
export interface PacingRules {
  readonly retryPeriod: number;
  /** A follower's retry is delayed by up to this many times `retryPeriod`, to spread many followers. */
  readonly jitterFactor: number;
  /** The longest wait, whatever the server asks for. */
  readonly renewDeadline: number;
}

/** When the next request of each kind may be sent. */
export interface Pacing {
  readonly rules: PacingRules;
  readonly read: Lane;
  readonly write: Lane;
  /** No request before this: the server asked for it in its reply to the request sent at `askedAt`. */
  readonly notBefore: MonotonicMs;
  readonly askedAt: MonotonicMs;
  /** When to poll; undefined while a watch is open. */
  readonly pollAt: MonotonicMs | undefined;
  /** When the newest answered request was sent. */
  readonly answeredAt: MonotonicMs;
  /** How many writes in a row were refused as conflicts, apart from races lost to another holder. */
  readonly conflicts: number;
}

/** The most unanswered requests of one kind. Resends are paced so that one of them has timed out when a fifth is due. */
const MOST_UNANSWERED = 4;
/** The shortest time-out of a request that leaves time for a new connection. client-go has the same bound. */
const SHORTEST_PATIENCE_MS = 1_000;

/** The pacing before the first request, without a watch. */
export function newPacing({ retryPeriod, jitterFactor, renewDeadline }: PacingRules): Pacing {
  return {
    rules: { retryPeriod, jitterFactor, renewDeadline },
    read: newLane(),
    write: newLane(),
    notBefore: LONG_AGO,
    askedAt: LONG_AGO,
    pollAt: undefined,
    answeredAt: LONG_AGO,
    conflicts: 0,
  };
}

/** How long a request may take: half of the time that is left, so that one that hangs leaves time for another. */
export function patienceFor(leftMs: number): number {
  return Math.max(leftMs / 2, SHORTEST_PATIENCE_MS);
}

/** After how many milliseconds without a reply a request is sent again. */
export function resendAfterMs({ retryPeriod, renewDeadline }: Omit<PacingRules, 'jitterFactor'>): number {
  return Math.max(retryPeriod, patienceFor(renewDeadline) / MOST_UNANSWERED);
}

/** A request is sent now. */
export function sending(pacing: Pacing, kind: RequestKind, sender: Sender): Pacing {
  const { rules, pollAt } = pacing;
  const next = laterBy(resendAfterMs(rules), sender.now, sender, rules);
  return {
    ...pacing,
    [kind]: laneSends(pacing[kind], sender.now, next, rules.retryPeriod),
    pollAt: pollAt === undefined ? undefined : retryAt(sender.now, sender, rules),
  };
}

/**
 * The request sent at `sentAt` was answered: the next may go at once.
 *
 * @param wasDue it was sent on schedule, as renewals are; default: in response to a sighting.
 */
export function answered(pacing: Pacing, kind: RequestKind, sentAt: MonotonicMs, wasDue = false): Pacing {
  return {
    ...pacing,
    answeredAt: later(pacing.answeredAt, sentAt),
    // A late reply to an older request does not end a wait that the server asked for later.
    notBefore: sentAt >= pacing.askedAt ? LONG_AGO : pacing.notBefore,
    [kind]: laneSucceeded(pacing[kind], sentAt, wasDue ? 1 : MOSTLY, pacing.rules.retryPeriod),
    conflicts: kind === 'write' ? 0 : pacing.conflicts,
  };
}

/** The request sent at `sentAt` failed. @param atOnce it may be repeated once without a pause. */
export function failed(
  pacing: Pacing,
  kind: RequestKind,
  { retryAfterMs }: LeaseRequestError,
  sentAt: MonotonicMs,
  sender: Sender,
  atOnce = false,
): Pacing {
  const again = atOnce ? LONG_AGO : retryAt(sentAt, sender, pacing.rules);
  const noted = { ...pacing, [kind]: laneFailed(pacing[kind], sentAt, again) };
  // If a later request has been answered since, the server no longer asks us to wait.
  if (retryAfterMs === undefined || sentAt < pacing.answeredAt) return noted;
  // A leader waits as long as the server asks, but for half of the remaining validity at most.
  const longest = sender.validFor === undefined ? pacing.rules.renewDeadline : sender.validFor / 2;
  return { ...noted, askedAt: sentAt, notBefore: after(sender.now, Math.min(retryAfterMs, longest)) };
}

/** The write sent at `sentAt` was refused as a conflict. */
export function conflicted(pacing: Pacing, sentAt: MonotonicMs): Pacing {
  return { ...pacing, write: laneAnswered(pacing.write, sentAt), conflicts: pacing.conflicts + 1 };
}

/** Another process holds the lease, so the conflicts were lost races. */
export function lostRace(pacing: Pacing): Pacing {
  if (pacing.conflicts === 0) return pacing;
  return { ...pacing, write: giveBack(pacing.write, MOSTLY, pacing.rules.retryPeriod), conflicts: 0 };
}

/** Whether the request sent at `sentAt` may be repeated at once: it is the newest of its lane, and the rate allows it. */
export function mayRepeat(
  { rules, ...lanes }: Pacing,
  kind: RequestKind,
  sentAt: MonotonicMs,
  now: MonotonicMs,
): boolean {
  const lane = lanes[kind];
  return sentAt === lane.newest && hastyUntil(lane, rules.retryPeriod) <= now;
}

/** The lease has changed: the next requests need not wait. */
export function hurry(pacing: Pacing, now: MonotonicMs): Pacing {
  return {
    ...pacing,
    read: laneHurries(pacing.read, 'read', now),
    write: laneHurries(pacing.write, 'write', now),
  };
}

/** There is doubt: the next read need not wait. */
export function hurryToRead(pacing: Pacing, now: MonotonicMs): Pacing {
  return { ...pacing, read: laneHurries(pacing.read, 'read', now) };
}

/** The watch has opened or closed. */
export function watching(pacing: Pacing, isOpen: boolean, sender: Sender): Pacing {
  return { ...pacing, pollAt: isOpen ? undefined : retryAt(sender.now, sender, pacing.rules) };
}

/** The earliest instant for the next request of this kind; `NEVER` until one of the most there may be is answered or fails. */
export function notBeforeOf({ rules, ...lanes }: Pacing, kind: RequestKind): MonotonicMs {
  const lane = lanes[kind];
  if (lane.unanswered >= MOST_UNANSWERED) return NEVER;
  return later(lane.notBefore, hastyUntil(lane, rules.retryPeriod));
}

function retryAt(since: MonotonicMs, sender: Sender, rules: PacingRules): MonotonicMs {
  return laterBy(rules.retryPeriod, since, sender, rules);
}

function laterBy(
  ms: number,
  since: MonotonicMs,
  { validFor, chance }: Sender,
  { jitterFactor }: PacingRules,
): MonotonicMs {
  const crowd = validFor === undefined ? chance * jitterFactor : 0;
  return after(since, ms * (1 + crowd));
}

// A lane

/**
 * When the next request of one kind may be sent: when the newest was answered, or has been unanswered for long enough, within
 * a rate limit. Older requests do not matter.
 *
 * The rate limit is a token bucket of two requests that refills by one per retryPeriod, whatever is answered. A request that
 * succeeded costs an eighth, and a renewal that was due costs nothing. So nothing that an API server does causes a loop of
 * requests.
 */
interface Lane {
  readonly unanswered: number;
  /** When the newest was sent. */
  readonly newest: MonotonicMs;
  readonly notBefore: MonotonicMs;
  /** When the bucket is full again. */
  readonly restedAt: MonotonicMs;
}

/** The size of the bucket: so many requests of a kind may fail in immediate succession, then they are paced. */
const AT_ONCE = 2;
/** The share of its cost that a successful request gives back. */
const MOSTLY = 1 - 1 / 8;
/** How many requests of a kind may be unanswered if a sighting is to let the next one go early. */
const UNANSWERED = { read: 0, write: 2 } as const;

function newLane(): Lane {
  return { unanswered: 0, newest: LONG_AGO, notBefore: LONG_AGO, restedAt: LONG_AGO };
}

/** When the bucket has room for one more request. */
function hastyUntil({ restedAt }: Lane, period: number): MonotonicMs {
  return after(restedAt, -(AT_ONCE - 1) * period);
}

/** A request is sent. Without a reply, the next goes at `next`. */
function laneSends(lane: Lane, now: MonotonicMs, next: MonotonicMs, period: number): Lane {
  return {
    unanswered: lane.unanswered + 1,
    newest: now,
    notBefore: next,
    restedAt: after(later(lane.restedAt, now), period),
  };
}

/** The request sent at `sentAt` was answered: the next may go. */
function laneAnswered(lane: Lane, sentAt: MonotonicMs): Lane {
  return laneFailed(lane, sentAt, LONG_AGO);
}

/** The request sent at `sentAt` succeeded. */
function laneSucceeded(lane: Lane, sentAt: MonotonicMs, share: number, period: number): Lane {
  return giveBack(laneAnswered(lane, sentAt), share, period);
}

function giveBack(lane: Lane, share: number, period: number): Lane {
  return { ...lane, restedAt: after(lane.restedAt, -share * period) };
}

/** The request sent at `sentAt` failed: the next goes at `again`, unless a newer one is in flight. */
function laneFailed(lane: Lane, sentAt: MonotonicMs, again: MonotonicMs): Lane {
  const notBefore = sentAt === lane.newest ? again : lane.notBefore;
  return { ...lane, unanswered: lane.unanswered - 1, notBefore };
}

/** A sighting lets the next request go at `at`, unless too many are unanswered. */
function laneHurries(lane: Lane, kind: RequestKind, at: MonotonicMs): Lane {
  return lane.unanswered <= UNANSWERED[kind] ? { ...lane, notBefore: at } : lane;
}

// The leader's rhythm

/**
 * How often the holder renews the lease, as the watch shows. A watch that is silent for much longer is suspicious: it may stay
 * open and silent for ever, when the network path is broken or the server's cache is stuck.
 */
export interface Rhythm {
  /** The assumed interval until one was measured: this process' own `renewInterval`. */
  readonly guess: number;
  readonly record: LeaseRecord | undefined;
  /** When the watch last showed something, or a read that there was nothing to show. */
  readonly seenAt: MonotonicMs;
  /** When the open watch showed the last renewal of this holder; undefined if it has shown none. The first may come early. */
  readonly renewedAt: MonotonicMs | undefined;
  readonly intervals: readonly number[];
  /** How often the lease was read since the watch last showed something; at most `MOST_LOOKS`. */
  readonly looks: number;
}

/** The longest of this many intervals counts, because a late renewal may be late again. */
const REMEMBERED = 4;
/** After how many intervals two renewals are missing; a little more than 2, for their latency. */
const SILENT_AFTER = 2.1;
/** How often the time until the next read is doubled at most: to 8 times. */
const MOST_LOOKS = 3;
/** Renewals that come this many times as fast as the guess were held up on their way, and say nothing about the leader. */
const BURST = 10;

/** The rhythm before the first sighting. */
export function newRhythm(renewInterval: number): Rhythm {
  return {
    guess: renewInterval,
    record: undefined,
    seenAt: NEVER,
    renewedAt: undefined,
    intervals: [],
    looks: 0,
  };
}

/** A new watch was opened. Its first event may be old. */
export function rhythmAtOpening(rhythm: Rhythm, now: MonotonicMs): Rhythm {
  return { ...rhythm, renewedAt: undefined, seenAt: now, looks: 0 };
}

/** A sighting shows `record`. */
export function rhythmSeeing(
  rhythm: Rhythm,
  record: LeaseRecord | undefined,
  now: MonotonicMs,
  channel: 'watch' | 'reply',
): Rhythm {
  const { record: before, renewedAt, intervals } = rhythm;
  const isNew = !isSame(before, record);
  if (channel === 'reply' && !isNew)
    return now >= dueAt(rhythm)
      ? { ...rhythm, seenAt: now, looks: Math.min(rhythm.looks + 1, MOST_LOOKS) }
      : rhythm;
  const seen = { ...rhythm, seenAt: now, looks: 0, record };
  if (!isNew) return seen;
  const isRenewal = record !== undefined && before?.holderIdentity === record.holderIdentity;
  const counts = channel === 'watch' && renewedAt !== undefined && now - renewedAt >= rhythm.guess / BURST;
  const more = counts ? [...intervals, now - renewedAt].slice(-REMEMBERED) : intervals;
  return {
    ...seen,
    intervals: isRenewal ? more : [],
    renewedAt: channel === 'watch' && isRenewal ? now : undefined,
  };
}

/**
 * When a follower is to read the lease although a watch is open: when two renewals of its holder are missing; if it has not
 * changed, again when it expires; then less and less often, about once a minute in the end.
 */
export function silentAt(rhythm: Rhythm, observation: Observation): MonotonicMs {
  if (observation.kind === 'unseen') return NEVER;
  const awaitsRenewal = holderIn(observation) !== '' && rhythm.looks === 0;
  return awaitsRenewal ? dueAt(rhythm) : later(dueAt(rhythm), observation.heldUntil);
}

function isSame(one: LeaseRecord | undefined, other: LeaseRecord | undefined): boolean {
  return one === undefined || other === undefined ? one === other : sameRecord(one, other);
}

function dueAt({ intervals, guess, seenAt, looks }: Rhythm): MonotonicMs {
  const interval = intervals.length > 0 ? Math.max(...intervals) : guess;
  return after(seenAt, interval * SILENT_AFTER * 2 ** looks);
}
