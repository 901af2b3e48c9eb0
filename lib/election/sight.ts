/**
 * Everything that this process knows of the lease: the last observation, whether it is in doubt, and what this process wrote
 * itself. Pure.
 *
 * Replies and watch events overtake each other. A sighting counts only if it is newer than what is known, or if it was
 * requested after that was seen (ARCHITECTURE.md, rules 5 and 7).
 */
import { after, later, type Instant, type MonotonicMs } from './clock.js';
import type { LeaseRequestError } from './errors.js';
import { isNewer, sameRecord, type LeaseRecord, type LeaseSnapshot } from './lease.js';
import {
  atLeastOurs,
  observe,
  observeShownWhileAbsent,
  versionOf,
  type Observation,
  type Sent,
  type Sighting,
} from './observation.js';

// What was written

/** A write that was sent. */
export interface WriteAttempt extends Sent {
  readonly record: LeaseRecord;
  /** The snapshot it is conditional on; undefined: on the Lease not existing. */
  readonly base: LeaseSnapshot | undefined;
  /** The number of the term that it extends if it succeeds, and of no other; undefined: it begins one. */
  readonly term: number | undefined;
}

/** A record of ours, and when it was sent. */
interface OwnWrite extends Sent {
  readonly record: LeaseRecord;
  /** The version that the write is conditional on; undefined: on the Lease not existing. */
  readonly on: string | undefined;
}

/**
 * The writes of this process, and which of them are undecided.
 *
 * A write may commit although its reply never comes. Its success is recognised by its record, in any reply or event. An
 * attempt is proved at most once, with the time at which it was sent, and not after it was voided; its record is remembered
 * as our own for longer.
 */
interface Ledger {
  readonly undecided: readonly WriteAttempt[];
  readonly written: readonly OwnWrite[];
  /** Our own record that was last seen in the lease. It is never forgotten. */
  readonly stored: OwnWrite | undefined;
}

/** How many of our own records are remembered besides the stored one. Only a handful of writes are in flight at once. */
const REMEMBERED = 32;

// What is known

/** Everything that this process knows of the lease. */
export interface Sight {
  readonly rules: SightRules;
  readonly observation: Observation;
  /** The observation may be stale: a write of ours was refused, or its outcome is unknown. A new sighting ends the doubt. */
  readonly doubtful: boolean;
  /**
   * When the open watch was opened, if the deletion of another holder's Lease may have been missed before: only a read sent
   * since then, or a newer event, can tell. A claim need not wait for that, because it is conditional.
   */
  readonly gapSince: MonotonicMs | undefined;
  /** A watch event showed a Lease that no read has confirmed. If a read finds none, its holder is respected for `owedMs`. */
  readonly hint: { readonly version: string; readonly at: MonotonicMs; readonly owedMs: number } | undefined;
  readonly ledger: Ledger;
}

/** The options that a {@link Sight} depends on. */
export interface SightRules {
  readonly identity: string;
  readonly leaseDuration: number;
  readonly renewDeadline: number;
}

/** The knowledge after a sighting, and what is new in it. */
export interface Seen {
  readonly sight: Sight;
  /** Undefined if the sighting is older than what is known. */
  readonly news: News | undefined;
}

/** What is new in a sighting. */
export interface News {
  /** The write of ours that is proved to have succeeded. */
  readonly proved: WriteAttempt | undefined;
  /** The lease has changed since it was last seen. */
  readonly moved: boolean;
}

/** Nothing is known yet. */
export function noSight({ identity, leaseDuration, renewDeadline }: SightRules): Sight {
  return {
    rules: { identity, leaseDuration, renewDeadline },
    observation: { kind: 'unseen' },
    doubtful: false,
    gapSince: undefined,
    hint: undefined,
    ledger: { undecided: [], written: [], stored: undefined },
  };
}

/** The lease as last seen, if we wrote it and there is no doubt. */
export function ours({ observation, doubtful }: Sight): LeaseSnapshot | undefined {
  return observation.kind === 'present' && observation.mine && !doubtful ? observation.snapshot : undefined;
}

/** Whether the lease as last seen is ours, even if in doubt. */
export function wasOurs({ observation }: Sight): boolean {
  return observation.kind === 'present' && observation.mine;
}

/** Whether the lease may be ours: it is, or there is doubt, or a write is undecided. */
export function mayBeOurs(sight: Sight): boolean {
  return ours(sight) !== undefined || sight.doubtful || sight.ledger.undecided.length > 0;
}

// Sightings

/** A watch event shows the lease. */
export function seeEvent(sight: Sight, lease: LeaseSnapshot, at: Instant): Seen {
  const known = sight.observation;
  if (!isNewer(lease.resourceVersion, versionOf(known))) return noNews(sight);
  if (known.kind === 'present' && known.snapshot.uid !== lease.uid) {
    // The Lease was re-created, or the event is wrong: only a read can tell. Even if the read finds no Lease, the holder in
    // the event is respected.
    return noNews({ ...hinted(sight, lease, at.now), observation: { ...known, validity: undefined } });
  }
  if (known.kind !== 'absent') return accept(sight, lease, at.now, at);
  if (sight.ledger.undecided.some(({ record }) => sameRecord(record, lease.record))) return noNews(sight);
  // The event may be older than the deletion, whose version is not always known. Only a read can tell. Even if the read finds
  // no Lease, the holder in the event is respected.
  const sent = sendingOf(sight, lease.record);
  const observation = observeShownWhileAbsent(known, lease, sightingAt(sight, at, sent));
  return {
    sight: { ...hinted(remembering(sight, sent), lease, at.now), observation },
    news: { proved: undefined, moved: true },
  };
}

/** A watch event shows that the lease was deleted. */
export function seeDeletion(sight: Sight, resourceVersion: string, at: Instant): Seen {
  const { observation: known, hint } = sight;
  if (known.kind === 'absent' || !isNewer(resourceVersion, versionOf(known))) return noNews(sight);
  const seen = accept(sight, undefined, at.now, at, resourceVersion);
  // An earlier event showed a newer Lease, which is not the deleted one.
  if (hint === undefined || !isNewer(hint.version, resourceVersion)) return seen;
  return { ...seen, sight: doubted({ ...seen.sight, hint }) };
}

/** The reply to a write shows the lease as written. If a newer version is known, that was written on top of it. */
export function seeWritten(sight: Sight, lease: LeaseSnapshot, sentAt: MonotonicMs, at: Instant): Seen {
  return isNewer(versionOf(sight.observation), lease.resourceVersion)
    ? noNews(sight)
    : seeReply(sight, lease, sentAt, at);
}

/** The reply to a request shows the lease, or that there is none. */
export function seeReply(
  sight: Sight,
  lease: LeaseSnapshot | undefined,
  sentAt: MonotonicMs,
  at: Instant,
): Seen {
  const { observation: known, hint } = sight;
  // A request sent before the hint whose reply is older than the hint cannot tell whether that Lease exists.
  if (hint !== undefined && sentAt < hint.at && isNewer(hint.version, lease?.resourceVersion ?? '0'))
    return noNews(sight);
  // Equal instants count: the clock stands still while the machine is suspended, and all that came meanwhile is seen at once.
  if (known.kind === 'unseen' || known.seenAt < sentAt) return accept(sight, lease, sentAt, at);
  const isNews = lease !== undefined && isNewer(lease.resourceVersion, versionOf(known));
  if (known.kind === 'present' && lease !== undefined) {
    if (isNewer(versionOf(known), lease.resourceVersion)) return noNews(sight);
  } else if (known.kind === 'present' || lease !== undefined) {
    // One sighting says present, the other absent. Unless a version tells their order, read again; of one instant, only once.
    if (known.seenAt > sentAt || !(isNews || sight.doubtful)) return noNews(doubted(sight));
  } else if (known.seenAt > sentAt) return noNews(sight);
  return accept(sight, lease, sentAt, at);
}

/** A watch has opened. The deletion of another holder's Lease may have been missed before. */
export function noteGap(sight: Sight, now: MonotonicMs): Sight {
  const { observation } = sight;
  return observation.kind === 'present' && !observation.mine ? { ...sight, gapSince: now } : sight;
}

// Writes

/** A write is about to be sent. */
export function attemptSent(sight: Sight, attempt: WriteAttempt): Sight {
  const { undecided, written } = sight.ledger;
  const { record, sentAt, sentOn, base } = attempt;
  return withLedger(sight, {
    undecided: [...undecided, attempt],
    written: [...written, { record, sentAt, sentOn, on: base?.resourceVersion }].slice(-REMEMBERED),
  });
}

/**
 * `attempt` failed. There is doubt if it may have been committed, and if the server found it invalid: then its base may not
 * be what we think.
 *
 * @param lookAgain false if a newer sighting is known, or if another attempt will show the outcome.
 */
export function attemptFailed(
  sight: Sight,
  attempt: WriteAttempt,
  { code, maybeCommitted }: LeaseRequestError,
  lookAgain = true,
): Sight {
  const noted = maybeCommitted ? sight : withoutWrite(sight, attempt);
  const mayBeStale = maybeCommitted || code === 'LEADER_REQUEST_INVALID';
  return lookAgain && mayBeStale && isCurrent(noted, attempt) ? doubted(noted) : noted;
}

/**
 * The server refused `attempt` because the lease has changed. The attempt itself may have changed it, if a proxy sent it
 * twice. The next sighting tells.
 */
export function attemptConflicted(sight: Sight, attempt: WriteAttempt): Sight {
  return isCurrent(sight, attempt) ? doubted(sight) : sight;
}

/** A release is about to be sent. From then on another process may take the lease, even within our validity. */
export function releaseSent(sight: Sight): Sight {
  const { observation } = sight;
  return observation.kind === 'present' && observation.mine
    ? { ...sight, observation: { ...observation, mayBeReleased: true } }
    : sight;
}

/** From now on no attempt sent so far can begin or extend a term. */
export function voidAttempts(sight: Sight): Sight {
  return sight.ledger.undecided.length === 0 ? sight : withLedger(sight, { undecided: [] });
}

// Steps of the above

function noNews(sight: Sight): Seen {
  return { sight, news: undefined };
}

function doubted(sight: Sight): Sight {
  return { ...sight, doubtful: true };
}

function hinted(sight: Sight, { record, resourceVersion: version }: LeaseSnapshot, at: MonotonicMs): Sight {
  const owedMs = atLeastOurs(record.leaseDurationSeconds, sight.rules);
  return doubted({ ...sight, hint: { version, at, owedMs } });
}

function isCurrent({ observation: known }: Sight, { base }: WriteAttempt): boolean {
  if (known.kind !== 'present') return base === undefined;
  return base?.resourceVersion === known.snapshot.resourceVersion;
}

function sightingAt({ rules }: Sight, { now, date }: Instant, sent: OwnWrite | undefined): Sighting {
  const { leaseDuration, renewDeadline } = rules;
  return { leaseDuration, renewDeadline, seenAt: now, seenOn: date, sent };
}

/** @param askedAt when the request was sent; for an event, now. */
function accept(
  sight: Sight,
  lease: LeaseSnapshot | undefined,
  askedAt: MonotonicMs,
  at: Instant,
  deletion?: string,
): Seen {
  const { observation: known, hint } = sight;
  const moved =
    lease === undefined
      ? known.kind !== 'absent'
      : known.kind !== 'present' || known.snapshot.resourceVersion !== lease.resourceVersion;
  // A reply with an older version than was seen before proves nothing: the server has lost newer versions.
  const isOld = lease !== undefined && isNewer(versionOf(known), lease.resourceVersion);
  const telling = isOld ? undefined : lease;
  const proved = telling && provedBy(sight, telling);
  const sent = telling && sendingOf(sight, telling.record);
  // An attempt that an old version shows is not proved by a later reply, either.
  const settled = remembering(lease === undefined ? sight : settledBy(sight, lease), sent);
  const sighting = sightingAt(sight, at, sent);
  const seen = observe(known, lease, { ...sighting, deletion });
  // An event showed a Lease that is now found gone. Its holder may have renewed it until now.
  const observation =
    seen.kind === 'absent' && hint !== undefined
      ? { ...seen, heldUntil: later(seen.heldUntil, after(at.now, hint.owedMs)) }
      : seen;
  const { gapSince } = sight;
  const isAskedSince = gapSince === undefined || askedAt >= gapSince;
  return {
    sight: {
      ...settled,
      observation,
      doubtful: false,
      gapSince: isAskedSince || proved !== undefined ? undefined : gapSince,
      hint: undefined,
    },
    news: { proved, moved },
  };
}

/** The attempt that `lease` proves successful, if any. */
function provedBy({ ledger }: Sight, lease: LeaseSnapshot): WriteAttempt | undefined {
  return ledger.undecided.find(({ record }) => sameRecord(record, lease.record));
}

/** Drops what `lease` proves, and what can no longer be stored because it is conditional on another version. */
function settledBy(sight: Sight, lease: LeaseSnapshot): Sight {
  const proved = provedBy(sight, lease);
  const { resourceVersion } = lease;
  const undecided = sight.ledger.undecided.filter(
    (attempt) => attempt !== proved && attempt.base?.resourceVersion === resourceVersion,
  );
  // A Lease that is deleted may be made anew by what is conditional on there being none.
  const written = sight.ledger.written.filter(({ on }) => on === undefined || on === resourceVersion);
  return withLedger(sight, { undecided, written });
}

/** When this process sent `record`; undefined if another process wrote it, even one with the same name. */
function sendingOf({ ledger, rules }: Sight, record: LeaseRecord): OwnWrite | undefined {
  if (record.holderIdentity !== rules.identity) return undefined;
  const { stored, written } = ledger;
  if (stored !== undefined && sameRecord(stored.record, record)) return stored;
  return written.find((own) => sameRecord(own.record, record));
}

function remembering(sight: Sight, stored: OwnWrite | undefined): Sight {
  return stored === undefined ? sight : withLedger(sight, { stored });
}

/** Forgets a write that was certainly not carried out. */
function withoutWrite(sight: Sight, { record }: WriteAttempt): Sight {
  const others = <T extends Pick<OwnWrite, 'record'>>(writes: readonly T[]): T[] =>
    writes.filter((write) => write.record !== record);
  const { undecided, written } = sight.ledger;
  return withLedger(sight, { undecided: others(undecided), written: others(written) });
}

function withLedger(sight: Sight, change: Partial<Ledger>): Sight {
  return { ...sight, ledger: { ...sight.ledger, ...change } };
}
