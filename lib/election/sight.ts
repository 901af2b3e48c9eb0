/**
 * All that this process knows of the lease: what it observed last, through any channel, what speaks against that, and what
 * it wrote itself. Pure.
 *
 * Channels overtake each other: a reply may arrive after a watch event that shows later things, and the other way round. A
 * sighting counts only if it is newer than what is known, or was asked for after that (ARCHITECTURE.md, rules 5 and 7).
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
  /** What it is conditional on; undefined: on the Lease not existing. */
  readonly base: LeaseSnapshot | undefined;
  /** The number of the term it is to extend; undefined: it is to begin one. It does nothing else, however late it is proved. */
  readonly term: number | undefined;
}

/** A record of ours, and when it was sent. */
interface OwnWrite extends Sent {
  readonly record: LeaseRecord;
  /** The version that the write is conditional on; undefined: on the Lease not existing. */
  readonly on: string | undefined;
}

/**
 * What this process wrote, and which of it is still undecided.
 *
 * A write may commit although its reply never comes, so its success is recognised by its record, through whatever channel
 * that is seen. An attempt proves itself at most once, with the stamp taken before it was sent, and only until it is void;
 * its record is remembered as our own for longer.
 */
interface Ledger {
  readonly undecided: readonly WriteAttempt[];
  readonly written: readonly OwnWrite[];
  /** The own record that was last seen in the lease. Older ones may be forgotten; this one never. */
  readonly stored: OwnWrite | undefined;
}

/** How many own records to remember that may yet be stored, besides the one that is. A handful are in flight at once. */
const REMEMBERED = 32;

// What is known

/** See the top of this file. */
export interface Sight {
  readonly rules: SightRules;
  readonly observation: Observation;
  /** A write of ours speaks against the observation: it was refused, or its outcome is unknown. A new sighting ends that. */
  readonly doubtful: boolean;
  /**
   * Since when a watch is open that may have missed the deletion of another's Lease: only a read sent since then, or a newer
   * event, tells. A claim need not wait for it, because it is conditional.
   */
  readonly gapSince: MonotonicMs | undefined;
  /** A watch event showed a Lease that no read has confirmed. If a read finds it gone, its holder is owed `owedMs` from then. */
  readonly hint: { readonly version: string; readonly at: MonotonicMs; readonly owedMs: number } | undefined;
  readonly ledger: Ledger;
}

/** The options that govern what is known of the lease. */
export interface SightRules {
  readonly identity: string;
  readonly leaseDuration: number;
  readonly renewDeadline: number;
}

/** What is known after a sighting, and what that adds. */
export interface Seen {
  readonly sight: Sight;
  /** Undefined: it is older than what is known. */
  readonly news: News | undefined;
}

/** What a sighting adds to what was known. */
export interface News {
  /** The write of ours that it shows to have succeeded. */
  readonly proved: WriteAttempt | undefined;
  /** The lease is not as it was last seen. */
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

/** The lease as last seen, if it is there, we wrote it, and nothing speaks against it. */
export function ours({ observation, doubtful }: Sight): LeaseSnapshot | undefined {
  return observation.kind === 'present' && observation.mine && !doubtful ? observation.snapshot : undefined;
}

/** The lease as last seen is ours, whatever has spoken against it since. */
export function wasOurs({ observation }: Sight): boolean {
  return observation.kind === 'present' && observation.mine;
}

/** The lease is ours, or may be: something speaks against what was seen, or a write is undecided. */
export function mayBeOurs(sight: Sight): boolean {
  return ours(sight) !== undefined || sight.doubtful || sight.ledger.undecided.length > 0;
}

// Sightings

/** A watch event shows the lease. */
export function seeEvent(sight: Sight, lease: LeaseSnapshot, at: Instant): Seen {
  const known = sight.observation;
  if (!isNewer(lease.resourceVersion, versionOf(known))) return noNews(sight);
  if (known.kind === 'present' && known.snapshot.uid !== lease.uid) {
    // Made anew, or not this Lease at all: an event may be wrong in any way, a read is not. If the read finds no Lease, the
    // holder in the event must be respected all the same.
    return noNews({ ...hinted(sight, lease, at.now), observation: { ...known, validity: undefined } });
  }
  if (known.kind !== 'absent') return accept(sight, lease, at.now, at);
  if (sight.ledger.undecided.some(({ record }) => sameRecord(record, lease.record))) return noNews(sight);
  // It may be older than the deletion, whose version is not always known. Only a read can tell; but its holder is respected
  // even if by then it is gone.
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
  // A newer Lease was shown by an event before: this deletion is not about that one.
  if (hint === undefined || !isNewer(hint.version, resourceVersion)) return seen;
  return { ...seen, sight: doubted({ ...seen.sight, hint }) };
}

/** The reply to a write that was sent at `sentAt` shows what it wrote; what is newer was written on top of that. */
export function seeWritten(sight: Sight, lease: LeaseSnapshot, sentAt: MonotonicMs, at: Instant): Seen {
  return isNewer(versionOf(sight.observation), lease.resourceVersion)
    ? noNews(sight)
    : seeReply(sight, lease, sentAt, at);
}

/** The reply to a request that was sent at `sentAt` shows the lease, or that there is none. */
export function seeReply(
  sight: Sight,
  lease: LeaseSnapshot | undefined,
  sentAt: MonotonicMs,
  at: Instant,
): Seen {
  const { observation: known, hint } = sight;
  // What was asked before the hint, and shows nothing so new, cannot tell whether that Lease is there.
  if (hint !== undefined && sentAt < hint.at && isNewer(hint.version, lease?.resourceVersion ?? '0'))
    return noNews(sight);
  if (known.kind === 'present' && lease !== undefined) {
    // At one instant, too: the clock stands still while the machine is suspended, and what came in then is seen at once.
    const mayBeOvertaken = known.seenAt >= sentAt;
    if (mayBeOvertaken && isNewer(known.snapshot.resourceVersion, lease.resourceVersion))
      return noNews(sight);
  } else if (known.kind !== 'unseen' && known.seenAt > sentAt) {
    // One says present, the other gone, and which came later cannot be told. Look again.
    return noNews(known.kind === 'present' || lease !== undefined ? doubted(sight) : sight);
  }
  return accept(sight, lease, sentAt, at);
}

/** A watch has opened: another's Lease may have been deleted without an event having shown it. */
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
 * `attempt` failed. Look again if it may have been carried out all the same, and if the server found it invalid: perhaps
 * what it was based on is not what we take it for.
 *
 * @param lookAgain false: what is known is newer than the attempt, or another will tell.
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
 * The server refused `attempt` because the lease is not what it was based on. Perhaps it is not because the attempt has
 * changed it: somebody on the way may have sent it twice. What is seen next tells.
 */
export function attemptConflicted(sight: Sight, attempt: WriteAttempt): Sight {
  return isCurrent(sight, attempt) ? doubted(sight) : sight;
}

/** A release is about to be sent. If it is carried out, another may have the lease from then on, also within our validity. */
export function releaseSent(sight: Sight): Sight {
  const { observation } = sight;
  return observation.kind === 'present' && observation.mine
    ? { ...sight, observation: { ...observation, mayBeReleased: true } }
    : sight;
}

/** No attempt sent so far may begin or extend a term. */
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

/** @param askedAt When what shows the lease was sent; an event shows it as it is now. */
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
  // A reply that shows an older version than was seen before proves nothing: the server has lost what came after.
  const isOld = lease !== undefined && isNewer(versionOf(known), lease.resourceVersion);
  const telling = isOld ? undefined : lease;
  const proved = telling && provedBy(sight, telling);
  const sent = telling && sendingOf(sight, telling.record);
  const settled = remembering(telling === undefined ? sight : settledBy(sight, telling), sent);
  const sighting = sightingAt(sight, at, sent);
  const seen = observe(known, lease, deletion === undefined ? sighting : { ...sighting, deletion });
  // The holder of a Lease that an event showed may have renewed it until now, when it is found gone.
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

/** The attempt that `lease` proves to have succeeded, if any. */
function provedBy({ ledger }: Sight, lease: LeaseSnapshot): WriteAttempt | undefined {
  return ledger.undecided.find(({ record }) => sameRecord(record, lease.record));
}

/** Without what is answered by `lease`, or can no longer be stored because it is conditional on another version. */
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

/** When this very process sent `record`, which was seen; undefined if another process wrote it, of whatever name. */
function sendingOf({ ledger, rules }: Sight, record: LeaseRecord): OwnWrite | undefined {
  if (record.holderIdentity !== rules.identity) return undefined;
  const { stored, written } = ledger;
  if (stored !== undefined && sameRecord(stored.record, record)) return stored;
  return written.find((own) => sameRecord(own.record, record));
}

function remembering(sight: Sight, stored: OwnWrite | undefined): Sight {
  return stored === undefined ? sight : withLedger(sight, { stored });
}

/** The server refused it: this request did nothing. */
function withoutWrite(sight: Sight, { record }: WriteAttempt): Sight {
  const others = <T extends Pick<OwnWrite, 'record'>>(writes: readonly T[]): T[] =>
    writes.filter((write) => write.record !== record);
  const { undecided, written } = sight.ledger;
  return withLedger(sight, { undecided: others(undecided), written: others(written) });
}

function withLedger(sight: Sight, change: Partial<Ledger>): Sight {
  return { ...sight, ledger: { ...sight.ledger, ...change } };
}
