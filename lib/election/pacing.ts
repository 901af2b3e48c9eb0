/**
 * When the next request may go. Pure.
 *
 * Reads and writes each have a lane: one request at a time, the next when it was answered or `retryPeriod` has passed
 * without a reply, later when the server asks for it. Without a watch, a poll is due once a retryPeriod; with one, a read is
 * due when the watch has missed two renewals.
 *
 * However the server behaves, what goes out is bounded: `AT_ONCE` says how often, `MOST_UNANSWERED` how much at once.
 */
import { LONG_AGO, NEVER, after, later, type MonotonicMs } from './clock.js';
import type { LeaseRequestError } from './errors.js';
import { sameRecord, type LeaseRecord } from './lease.js';
import type { Observation } from './observation.js';

/** Reads change nothing; of the writes on one version at most one does. */
export type RequestKind = 'read' | 'write';

/** Who sends, when, and by what chance. */
export interface Sender {
  readonly now: MonotonicMs;
  /** In [0, 1). */
  readonly chance: number;
  /** Milliseconds for which the own term is certain; undefined for a follower. */
  readonly validFor: number | undefined;
}

/** How requests are paced: the options that govern it. */
export interface PacingRules {
  readonly retryPeriod: number;
  /** A follower's retry comes up to this many times `retryPeriod` later, so that a crowd spreads out. */
  readonly jitterFactor: number;
  /** For no longer does anybody wait, whatever the server asks. */
  readonly renewDeadline: number;
}

/** See the top of this file. */
export interface Pacing {
  readonly rules: PacingRules;
  readonly read: Lane;
  readonly write: Lane;
  /** No request before this: the server asked for it, in answer to a request sent at `askedAt`. */
  readonly notBefore: MonotonicMs;
  readonly askedAt: MonotonicMs;
  /** When to read if nothing is seen; undefined while a watch is open. */
  readonly pollAt: MonotonicMs | undefined;
  /** When the newest request that was answered had been sent. */
  readonly answeredAt: MonotonicMs;
  /** How many writes in a row were refused as conflicts, and not because another took the lease. */
  readonly conflicts: number;
}

/** How many requests of one kind may be unanswered before a resend waits for one of them to be given up. */
const MOST_UNANSWERED = 4;
/** The shortest patience with a request that still allows a connection to be made (client-go's bound, too). */
const SHORTEST_PATIENCE_MS = 1_000;

/** Nothing was sent yet, and no watch is open. */
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

/** How long a request may take of what is left: half, so that one that hangs leaves room for another. */
export function patienceFor(leftMs: number): number {
  return Math.max(leftMs / 2, SHORTEST_PATIENCE_MS);
}

/** After how many milliseconds without a reply a request is made again. */
export function resendAfterMs({ retryPeriod, renewDeadline }: Omit<PacingRules, 'jitterFactor'>): number {
  return Math.max(retryPeriod, patienceFor(renewDeadline) / MOST_UNANSWERED);
}

/** A request goes out now. */
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
 * The request sent at that instant was answered: the next may go at once.
 *
 * @param wasDue It was made because its time had come, as renewals are. Default: because of something that was seen.
 */
export function answered(pacing: Pacing, kind: RequestKind, sentAt: MonotonicMs, wasDue = false): Pacing {
  return {
    ...pacing,
    answeredAt: later(pacing.answeredAt, sentAt),
    // An older request, answered late, says nothing of what was asked since.
    notBefore: sentAt >= pacing.askedAt ? LONG_AGO : pacing.notBefore,
    [kind]: laneSucceeded(pacing[kind], sentAt, wasDue ? 1 : MOSTLY, pacing.rules.retryPeriod),
    conflicts: kind === 'write' ? 0 : pacing.conflicts,
  };
}

/** The request sent at that instant failed. @param atOnce It may be made again without a pause, once. */
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
  // A later request has been answered since: whatever was wrong with this one is over.
  if (retryAfterMs === undefined || sentAt < pacing.answeredAt) return noted;
  // A leader waits as long as it is asked to, but not past the middle of what is left.
  const longest = sender.validFor === undefined ? pacing.rules.renewDeadline : sender.validFor / 2;
  return { ...noted, askedAt: sentAt, notBefore: after(sender.now, Math.min(retryAfterMs, longest)) };
}

/** The write sent at that instant was refused as a conflict: look, and write on top of what there is. */
export function conflicted(pacing: Pacing, sentAt: MonotonicMs): Pacing {
  return { ...pacing, write: laneAnswered(pacing.write, sentAt), conflicts: pacing.conflicts + 1 };
}

/** Another holds the lease, and must be respected: if a write was refused, it was for that. */
export function lostRace(pacing: Pacing): Pacing {
  if (pacing.conflicts === 0) return pacing;
  return { ...pacing, write: giveBack(pacing.write, MOSTLY, pacing.rules.retryPeriod), conflicts: 0 };
}

/** Whether `atOnce` makes a difference to the request sent at that instant: nothing newer is sent, and haste is left. */
export function mayRepeat(
  { rules, ...lanes }: Pacing,
  kind: RequestKind,
  sentAt: MonotonicMs,
  now: MonotonicMs,
): boolean {
  const lane = lanes[kind];
  return sentAt === lane.newest && hastyUntil(lane, rules.retryPeriod) <= now;
}

/** What is known has changed: do not wait. */
export function hurry(pacing: Pacing, now: MonotonicMs): Pacing {
  return {
    ...pacing,
    read: laneHurries(pacing.read, 'read', now),
    write: laneHurries(pacing.write, 'write', now),
  };
}

/** Something is in doubt: do not wait with a read. */
export function hurryToRead(pacing: Pacing, now: MonotonicMs): Pacing {
  return { ...pacing, read: laneHurries(pacing.read, 'read', now) };
}

/** The watch opened, or is not open any more. */
export function watching(pacing: Pacing, isOpen: boolean, sender: Sender): Pacing {
  return { ...pacing, pollAt: isOpen ? undefined : retryAt(sender.now, sender, pacing.rules) };
}

/** No request of this kind before this. */
export function notBeforeOf({ rules, ...lanes }: Pacing, kind: RequestKind): MonotonicMs {
  const lane = lanes[kind];
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
 * When the next request of one kind may go: when the newest was answered, or has been unanswered for long enough, and not
 * faster than haste allows. What becomes of an older one changes nothing.
 *
 * Haste: two requests of a kind may be made without waiting, and then one a retryPeriod, whatever comes back. A request that
 * came to something costs an eighth. So nothing that an API server says or does makes a loop of requests.
 */
interface Lane {
  readonly unanswered: number;
  /** When the newest was sent. */
  readonly newest: MonotonicMs;
  readonly notBefore: MonotonicMs;
  /** When all haste that was spent has been made up for. */
  readonly restedAt: MonotonicMs;
}

/** How many requests of a kind may come to nothing one right after the other; then they are paced. */
const AT_ONCE = 2;
/** Which share of its haste a request gives back that came to something. */
const MOSTLY = 1 - 1 / 8;
/** How many requests of a kind may be unanswered for another to be sent before its time, because something was seen. */
const UNANSWERED = { read: 0, write: 2 } as const;

function newLane(): Lane {
  return { unanswered: 0, newest: LONG_AGO, notBefore: LONG_AGO, restedAt: LONG_AGO };
}

/** No request before this, for want of haste. */
function hastyUntil({ restedAt }: Lane, period: number): MonotonicMs {
  return after(restedAt, -(AT_ONCE - 1) * period);
}

/** One goes out; the next goes at `next` if nothing comes back. */
function laneSends(lane: Lane, now: MonotonicMs, next: MonotonicMs, period: number): Lane {
  return {
    unanswered: lane.unanswered + 1,
    newest: now,
    notBefore: next,
    restedAt: after(later(lane.restedAt, now), period),
  };
}

/** The one sent at that instant was answered: the next may go. */
function laneAnswered(lane: Lane, sentAt: MonotonicMs): Lane {
  return laneFailed(lane, sentAt, LONG_AGO);
}

/** The one sent at that instant came to something. */
function laneSucceeded(lane: Lane, sentAt: MonotonicMs, share: number, period: number): Lane {
  return giveBack(laneAnswered(lane, sentAt), share, period);
}

function giveBack(lane: Lane, share: number, period: number): Lane {
  return { ...lane, restedAt: after(lane.restedAt, -share * period) };
}

/** The one sent at that instant failed: the next goes at `again`, unless a newer one is under way. */
function laneFailed(lane: Lane, sentAt: MonotonicMs, again: MonotonicMs): Lane {
  const notBefore = sentAt === lane.newest ? again : lane.notBefore;
  return { ...lane, unanswered: lane.unanswered - 1, notBefore };
}

/** Something was seen: the next may go at `at`, unless too many are unanswered. */
function laneHurries(lane: Lane, kind: RequestKind, at: MonotonicMs): Lane {
  return lane.unanswered <= UNANSWERED[kind] ? { ...lane, notBefore: at } : lane;
}

// The leader's rhythm

/**
 * How often the holder of the lease renews it, as a watch shows, and from when on it is strange that the watch shows
 * nothing. A watch may be open and silent for ever: the path behind it is gone, or the server's cache stands still.
 */
export interface Rhythm {
  /** What is taken for the interval until one was seen: this process' own. */
  readonly guess: number;
  readonly record: LeaseRecord | undefined;
  readonly seenAt: MonotonicMs;
  /** When the watch that is open showed the last renewal of this holder; undefined: it has not shown any. The first may come early. */
  readonly renewedAt: MonotonicMs | undefined;
  readonly intervals: readonly number[];
  /** How often the lease was read since the watch showed something. */
  readonly looks: number;
}

/** Of so many renewals the longest interval counts: one that came late is no rule, but may come again. */
const REMEMBERED = 4;
/** After how many intervals the holder has missed two renewals, with a little for their way. */
const SILENT_AFTER = 2.1;

/** Nothing was seen yet. */
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

/** The watch was opened anew: what it shows first may be old. */
export function rhythmAtOpening(rhythm: Rhythm, now: MonotonicMs): Rhythm {
  return { ...rhythm, renewedAt: undefined, seenAt: now, looks: 0 };
}

/** The lease is seen to say that now. */
export function rhythmSeeing(
  rhythm: Rhythm,
  record: LeaseRecord | undefined,
  now: MonotonicMs,
  channel: 'watch' | 'reply',
): Rhythm {
  const { record: before, renewedAt, intervals } = rhythm;
  const isNew = before === undefined || record === undefined || !sameRecord(before, record);
  if (channel === 'reply' && !isNew)
    return now >= dueAt(rhythm) ? { ...rhythm, looks: rhythm.looks + 1 } : rhythm;
  const seen = { ...rhythm, seenAt: now, looks: 0, record };
  if (!isNew) return seen;
  const isRenewal = record !== undefined && before?.holderIdentity === record.holderIdentity;
  const counts = channel === 'watch' && renewedAt !== undefined;
  const more = counts ? [...intervals, now - renewedAt].slice(-REMEMBERED) : intervals;
  return {
    ...seen,
    intervals: isRenewal ? more : [],
    renewedAt: channel === 'watch' && isRenewal ? now : undefined,
  };
}

/**
 * From when on to read another's lease although a watch is open: when two renewals were missed; and if it has not
 * changed, again when it runs out, and less and less often. Never, where there is nothing to be renewed.
 */
export function silentAt(rhythm: Rhythm, observation: Observation): MonotonicMs {
  if (observation.kind !== 'present' || observation.mine) return NEVER;
  if (observation.snapshot.record.holderIdentity === '') return NEVER;
  return rhythm.looks === 0 ? dueAt(rhythm) : later(dueAt(rhythm), observation.heldUntil);
}

function dueAt({ intervals, guess, seenAt, looks }: Rhythm): MonotonicMs {
  const interval = intervals.length > 0 ? Math.max(...intervals) : guess;
  return after(seenAt, interval * SILENT_AFTER * 2 ** looks);
}
