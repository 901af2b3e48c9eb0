/**
 * Keeps a watch on one object: opens it again when it ends, and when it owes an event. Pure.
 *
 * A watch is an early wake-up and nothing more: a process stays right, if slower, when every event is late, wrong or missing.
 * A watch that was open and ends is opened again at once, but not twice in a row: one that has not lived for a `retryPeriod`
 * since gets a pause. So nothing that a server does makes it be opened more than twice a `retryPeriod`.
 */
import { NEVER, after, earlier, type MonotonicMs } from './clock.js';
import { isLeaderError, type LeaderErrorCode, type LeaseRequestError } from './errors.js';
import { isNewer, type WatchEvent } from './lease.js';

/** Whether events can be expected. */
export type WatchState = 'connecting' | 'open' | 'denied' | 'unsupported' | 'closed';

/** See the top of this file. */
export interface Watch {
  readonly retryPeriod: number;
  readonly state: WatchState;
  /** The number of the newest stream; events of an older one do not count. */
  readonly stream: number;
  /** The newest stream has been opened, and was neither ended nor closed since. */
  readonly isStreaming: boolean;
  /** When the stream began to show events; undefined while it has not. */
  readonly openedAt: MonotonicMs | undefined;
  /** When to give up a stream that does not open, or to open the next; undefined: neither. */
  readonly giveUpAt: MonotonicMs | undefined;
  readonly openAt: MonotonicMs | undefined;
  /** The stream has shown something: what it shows first is no news, and says nothing of how it goes on. */
  readonly hasShown: boolean;
  /** The version that it showed last as news. */
  readonly newsVersion: string;
  /** The newest version that any stream has shown. */
  readonly shownVersion: string;
  readonly awaited: AwaitedEvent | undefined;
  /** How many streams in a row ended without having lived. */
  readonly endsInARow: number;
  /** How many streams in a row did not show in time what they should have. */
  readonly lateness: number;
  /** The problem that was reported last. */
  readonly reported: LeaderErrorCode | undefined;
}

/** An event that a watch owes. */
interface AwaitedEvent {
  readonly version: string;
  readonly since: MonotonicMs;
  /** When the stream is opened anew, if it has not shown the event by then. */
  readonly dueAt: MonotonicMs;
  /** It is news, and not what a stream shows first. */
  readonly isNews: boolean;
}

/** How many retry periods to leave a watch alone that was denied: permissions change rarely. */
const DENIED_RETRY_PERIODS = 30;
/** How many retry periods to wait for a watch to open: it has no end of its own. */
const OPENING_RETRY_PERIODS = 5;
/** How often the time for an event that is awaited is doubled, at the most: to 32 retry periods. */
const LATEST = 5;

/** No stream was opened yet. */
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
    lateness: 0,
    reported: undefined,
  };
}

/** Opens a stream. Without `watch` in the lock there is nothing to open. */
export function watchStarted(watch: Watch, isSupported: boolean, now: MonotonicMs): Watch {
  return isSupported ? opening(watch, now) : { ...watch, state: 'unsupported' };
}

/** Opens no more streams. */
export function watchStopped(watch: Watch): Watch {
  return { ...withoutStream(watch), state: 'closed', openAt: undefined };
}

/** Opens another stream in place of the one that is open. */
export function watchRenewed(watch: Watch, now: MonotonicMs): Watch {
  return watch.state === 'open' ? opening(withoutStream(watch), now) : watch;
}

/** What is due by now: a stream is given up or opened, or an event that is awaited has not come. */
export function watchDue(watch: Watch, now: MonotonicMs, chance: number): Watch {
  if (watch.giveUpAt !== undefined && now >= watch.giveUpAt)
    return watchEnded(withoutStream(watch), undefined, now, chance);
  if (watch.openAt !== undefined && now >= watch.openAt) return opening(watch, now);
  if (watch.awaited === undefined || now < watch.awaited.dueAt) return watch;
  // The stream is half-open: its socket lives, but no events come.
  return watchRenewed({ ...watch, lateness: Math.min(watch.lateness + 1, LATEST) }, now);
}

/** When {@link watchDue} has something to do. */
export function watchDueAt({ giveUpAt = NEVER, openAt = NEVER, awaited }: Watch): MonotonicMs {
  return earlier(earlier(giveUpAt, openAt), awaited?.dueAt ?? NEVER);
}

/** The stream is open: what is there follows. */
export function watchOpened(watch: Watch, now: MonotonicMs): Watch {
  return { ...watch, openedAt: now, giveUpAt: undefined, reported: undefined, state: 'open' };
}

/** The stream shows something. */
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
  };
}

/**
 * The object was seen at `version`, or gone (undefined), through another channel: the watch must show that, too, within
 * `retryPeriod`, or it is opened anew. Each time that did not help it is given twice as long, until it keeps up again.
 *
 * @param isOverdue It has had its time already.
 */
export function watchExpected(
  watch: Watch,
  version: string | undefined,
  isOverdue: boolean,
  now: MonotonicMs,
): Watch {
  // A deletion has a version that is not known: it is newer than all that was shown.
  const awaitedVersion = version ?? String(BigInt(watch.shownVersion) + 1n);
  const lateness = isNewer(awaitedVersion, watch.newsVersion) ? watch.lateness : 0;
  if (watch.state !== 'open' || watch.awaited !== undefined || !isNewer(awaitedVersion, watch.shownVersion))
    return { ...watch, lateness };
  const delayMs = isOverdue && lateness === 0 ? 0 : watch.retryPeriod * 2 ** lateness;
  const awaited = { version: awaitedVersion, since: now, dueAt: after(now, delayMs), isNews: watch.hasShown };
  return { ...watch, lateness, awaited };
}

/** The stream has ended. @param chance in [0, 1). */
export function watchEnded(
  watch: Watch,
  problem: LeaseRequestError | undefined,
  now: MonotonicMs,
  chance: number,
): Watch {
  const { openedAt, retryPeriod } = watch;
  const livedMs = openedAt === undefined ? 0 : now - openedAt;
  const endsInARow = livedMs >= retryPeriod ? 0 : watch.endsInARow;
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
    // Nothing is awaited for longer than that: it keeps up.
    lateness: livedMs >= retryPeriod * 2 ** LATEST ? 0 : watch.lateness,
    reported: problem?.code ?? watch.reported,
  };
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
