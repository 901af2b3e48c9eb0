/**
 * Keeps a watch on one object: reopens it when it ends, and when it fails to show an expected event. Pure.
 *
 * A watch only makes reactions faster: the election stays correct, if slower, when every event is late, wrong or missing. A
 * watch that was open and ends is reopened at once, but not twice in a row: one that ended within a `retryPeriod` is followed
 * by a pause. So it is opened at most twice per `retryPeriod`, whatever the server does.
 */
import { LONG_AGO, NEVER, after, earlier, type MonotonicMs } from './clock.js';
import { isLeaderError, type LeaderErrorCode, type LeaseRequestError } from './errors.js';
import { isNewer, type WatchEvent } from './lease.js';

/** Whether events can be expected. */
export type WatchState = 'connecting' | 'open' | 'denied' | 'unsupported' | 'closed';

/** The state of a watch. */
export interface Watch {
  readonly retryPeriod: number;
  readonly state: WatchState;
  /** The number of the newest stream. Events of older ones are ignored. */
  readonly stream: number;
  /** The newest stream was requested, and has neither ended nor been closed. */
  readonly isStreaming: boolean;
  /** When the stream was opened by the server; undefined until then. */
  readonly openedAt: MonotonicMs | undefined;
  /** When to give up a stream that does not open; undefined if none is opening. */
  readonly giveUpAt: MonotonicMs | undefined;
  /** When to open the next stream; undefined while there is one. */
  readonly openAt: MonotonicMs | undefined;
  /** The stream has shown its first event, which only repeats the present state. */
  readonly hasShown: boolean;
  /** The version of its last event after the first. */
  readonly newsVersion: string;
  /** The newest version that any stream has shown. */
  readonly shownVersion: string;
  readonly awaited: AwaitedEvent | undefined;
  /** How many streams in a row ended within a `retryPeriod`. */
  readonly endsInARow: number;
  /**
   * How many streams in a row ended within a `retryPeriod` after they opened, or did not open, and nobody said why. Those that
   * did not open count twice.
   */
  readonly uselessInARow: number;
  /** For how many milliseconds that has been going on, as of the last of them. */
  readonly uselessForMs: number;
  /** When the first of them ended. */
  readonly uselessSince: MonotonicMs;
  /** How many streams in a row did not show an expected event in time. */
  readonly lateness: number;
  /** The problem that was reported last. */
  readonly reported: LeaderErrorCode | undefined;
}

/** An event that the stream is expected to show. */
interface AwaitedEvent {
  readonly version: string;
  readonly since: MonotonicMs;
  /** When the stream is replaced if it has not shown the event. */
  readonly dueAt: MonotonicMs;
  /** The event is not the first of its stream. */
  readonly isNews: boolean;
}

/** How many retry periods to wait after a watch was denied: permissions change rarely. */
const DENIED_RETRY_PERIODS = 30;
/** How many retry periods to wait for a watch to open. The request has no other time-out. */
const OPENING_RETRY_PERIODS = 5;
/** How often the time for an expected event is doubled at most: to 32 retry periods. */
const LATEST = 5;

/** A watch whose first stream was not opened yet. */
export function newWatch(retryPeriod: number): Watch {
  return {
    retryPeriod,
    state: 'closed',
    stream: 0,
    isStreaming: false,
    openedAt: undefined,
    giveUpAt: undefined,
    openAt: undefined,
    hasShown: false,
    newsVersion: '0',
    shownVersion: '0',
    awaited: undefined,
    endsInARow: 0,
    uselessInARow: 0,
    uselessForMs: 0,
    uselessSince: LONG_AGO,
    lateness: 0,
    reported: undefined,
  };
}

/** Opens the first stream, if the lock supports watches. */
export function watchStarted(watch: Watch, isSupported: boolean, now: MonotonicMs): Watch {
  return isSupported ? opening(watch, now) : { ...watch, state: 'unsupported' };
}

/** Opens no more streams. */
export function watchStopped(watch: Watch): Watch {
  return { ...withoutStream(watch), state: 'closed', openAt: undefined };
}

/** Replaces the open stream by a new one. */
export function watchRenewed(watch: Watch, now: MonotonicMs): Watch {
  return watch.state === 'open' ? opening(withoutStream(watch), now) : watch;
}

/** Does what is due: gives up a stream, opens one, or replaces one that has not shown an expected event. */
export function watchDue(watch: Watch, now: MonotonicMs, chance: number): Watch {
  if (watch.giveUpAt !== undefined && now >= watch.giveUpAt)
    return watchEnded(withoutStream(watch), undefined, now, chance);
  if (watch.openAt !== undefined && now >= watch.openAt) return opening(watch, now);
  if (watch.awaited === undefined || now < watch.awaited.dueAt) return watch;
  // The connection is half-open: the socket looks alive, but no events come.
  return watchRenewed({ ...watch, lateness: Math.min(watch.lateness + 1, LATEST) }, now);
}

/** When {@link watchDue} has something to do. */
export function watchDueAt({ giveUpAt = NEVER, openAt = NEVER, awaited }: Watch): MonotonicMs {
  return earlier(earlier(giveUpAt, openAt), awaited?.dueAt ?? NEVER);
}

/** The stream is open. Its first event shows the present state. */
export function watchOpened(watch: Watch, now: MonotonicMs): Watch {
  return { ...watch, openedAt: now, giveUpAt: undefined, reported: undefined, state: 'open' };
}

/** The stream has shown an event. */
export function watchShowed(
  watch: Watch,
  event: Exclude<WatchEvent, { kind: 'opened' }>,
  now: MonotonicMs,
): Watch {
  const version = event.kind === 'seen' ? event.snapshot.resourceVersion : event.resourceVersion;
  const shownVersion = isNewer(version, watch.shownVersion) ? version : watch.shownVersion;
  const { awaited } = watch;
  const isPaid = awaited !== undefined && !isNewer(awaited.version, shownVersion);
  const inTime = isPaid && awaited.isNews && now <= after(awaited.since, watch.retryPeriod);
  return {
    ...watch,
    shownVersion,
    awaited: isPaid ? undefined : awaited,
    lateness: inTime ? 0 : watch.lateness,
    newsVersion: watch.hasShown ? version : watch.newsVersion,
    hasShown: true,
    uselessInARow: livedFor(watch, now) >= watch.retryPeriod ? 0 : watch.uselessInARow,
  };
}

/**
 * A reply showed the object at `version`, or gone (undefined). If the watch does not show that, too, within `retryPeriod`, its
 * stream is replaced. Each time that does not help, the next stream gets twice as long, until one is in time again.
 *
 * @param isOverdue the stream should already have shown it.
 */
export function watchExpected(
  watch: Watch,
  version: string | undefined,
  isOverdue: boolean,
  now: MonotonicMs,
): Watch {
  // The version of a deletion is unknown, but newer than all that was shown.
  const awaitedVersion = version ?? String(BigInt(watch.shownVersion) + 1n);
  const lateness = isNewer(awaitedVersion, watch.newsVersion) ? watch.lateness : 0;
  if (watch.state !== 'open' || watch.awaited !== undefined || !isNewer(awaitedVersion, watch.shownVersion))
    return { ...watch, lateness };
  const delayMs = isOverdue && lateness === 0 ? 0 : watch.retryPeriod * 2 ** lateness;
  const awaited = { version: awaitedVersion, since: now, dueAt: after(now, delayMs), isNews: watch.hasShown };
  return { ...watch, awaited };
}

/** The stream has ended. @param chance in [0, 1). */
export function watchEnded(
  watch: Watch,
  problem: LeaseRequestError | undefined,
  now: MonotonicMs,
  chance: number,
): Watch {
  const { openedAt, retryPeriod } = watch;
  const livedMs = livedFor(watch, now);
  const endsInARow = livedMs >= retryPeriod ? 0 : watch.endsInARow;
  const uselessInARow = livedMs >= retryPeriod ? 0 : watch.uselessInARow;
  const uselessSince = uselessInARow === 0 ? now : watch.uselessSince;
  const isUnexplained = livedMs < retryPeriod && (openedAt !== undefined || problem === undefined);
  const isDenied = isLeaderError(problem, 'LEADER_FORBIDDEN');
  const mayReopen = openedAt !== undefined && endsInARow === 0 && !isDenied;
  const longest = retryPeriod * DENIED_RETRY_PERIODS;
  const asked = Math.min(problem?.retryAfterMs ?? 0, longest);
  const pause = (isDenied ? longest : retryPeriod) * (1 + chance / 2);
  return {
    ...withoutStream(watch),
    state: isDenied ? 'denied' : 'connecting',
    openAt: after(now, mayReopen ? asked : Math.max(pause, asked)),
    endsInARow: endsInARow + 1,
    uselessInARow: isUnexplained ? uselessInARow + (openedAt === undefined ? 2 : 1) : uselessInARow,
    uselessForMs: isUnexplained ? now - uselessSince : watch.uselessForMs,
    uselessSince,
    // A stream that lived longer than the longest wait has shown everything in time.
    lateness: livedMs >= retryPeriod * 2 ** LATEST ? 0 : watch.lateness,
    reported: problem?.code ?? watch.reported,
  };
}

function livedFor({ openedAt }: Watch, now: MonotonicMs): number {
  return openedAt === undefined ? 0 : now - openedAt;
}

/**
 * How many useless streams in a row are reported, if they come over a `retryPeriod` at least. A few occur when an API server
 * restarts, or moves its clients to other servers (GOAWAY).
 */
const USELESS_FROM = 6;
/** How many streams in a row are reported that did not show an expected event. */
const LATE_FROM = 3;

/** Whether stream after stream is useless, and no reply of the server says why. */
export function isBroken({ uselessInARow, uselessForMs, retryPeriod, lateness }: Watch): boolean {
  return (uselessInARow >= USELESS_FROM && uselessForMs >= retryPeriod) || lateness >= LATE_FROM;
}

/** Whether one more stream was useless. */
export function isWorse(watch: Watch, before: Watch): boolean {
  return watch.uselessInARow > before.uselessInARow || watch.lateness > before.lateness;
}

function opening(watch: Watch, now: MonotonicMs): Watch {
  return {
    ...watch,
    state: 'connecting',
    stream: watch.stream + 1,
    isStreaming: true,
    openedAt: undefined,
    openAt: undefined,
    giveUpAt: after(now, OPENING_RETRY_PERIODS * watch.retryPeriod),
    hasShown: false,
    newsVersion: '0',
  };
}

function withoutStream(watch: Watch): Watch {
  return { ...watch, isStreaming: false, giveUpAt: undefined, awaited: undefined };
}
