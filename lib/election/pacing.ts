/**
 * When the next request may go. Reads and writes each have a lane: one at a time, the next when `retryPeriod` has passed
 * without a reply, later when the server asks for it; and, without a watch, when to look although nothing was heard.
 *
 * However the server behaves, what goes out is bounded: see {@link Haste} for how often, and `MOST_UNANSWERED` for how much
 * at once.
 */
import { LONG_AGO, after, later, type Clock, type MonotonicMs } from './clock.js';
import type { LeaseRequestError } from './errors.js';
import { Lane } from './lane.js';
import { patienceFor } from './lease-requests.js';

/** Who sends, which decides about haste. */
export interface Sender {
  /** Milliseconds for which the own term is certain; undefined for a follower. */
  readonly validFor: number | undefined;
}

/** Reads, which change nothing, and writes, of which at most one of a kind does. */
export type RequestKind = 'read' | 'write';

/** The followers of a released lease try within this time of each other. */
const RELEASE_JITTER_MS = 3;

/** How many requests of one kind may be unanswered before a resend waits for one of them to be given up. */
const MOST_UNANSWERED = 4;

/** See the head of the file. */
export class Pacing {
  readonly #clock: Clock;
  readonly #retryPeriod: number;
  /** A follower's retry comes up to this many times `retryPeriod` later, so that a crowd spreads out. */
  readonly #jitterFactor: number;
  readonly #longestPause: number;
  /** After how many milliseconds without a reply a request is made again. */
  readonly resendAfterMs: number;
  readonly #lanes: Readonly<Record<RequestKind, Lane>>;
  /** The server asked to be left alone until then. */
  #askedUntil = LONG_AGO;
  /** In answer to a request sent then. */
  #askedAt = LONG_AGO;
  #pollAt: MonotonicMs | undefined;
  /** When the newest request that was answered had been sent. */
  #answeredAt = LONG_AGO;
  /** How many writes in a row were refused as conflicts, and not because another took the lease. */
  #conflicts = 0;
  #problem: LeaseRequestError | undefined;

  /** @param options `renewDeadline`: for no longer does anybody wait, whatever the server asks. */
  constructor(clock: Clock, options: { retryPeriod: number; jitterFactor: number; renewDeadline: number }) {
    const { retryPeriod, jitterFactor, renewDeadline } = options;
    this.#clock = clock;
    this.#retryPeriod = retryPeriod;
    this.#jitterFactor = jitterFactor;
    this.#longestPause = renewDeadline;
    this.resendAfterMs = Math.max(retryPeriod, patienceFor(renewDeadline) / MOST_UNANSWERED);
    this.#lanes = { read: new Lane('read', retryPeriod), write: new Lane('write', retryPeriod) };
  }

  /** No request before this: the server asked for it. */
  get notBefore(): MonotonicMs {
    return this.#askedUntil;
  }

  /** No read before this. */
  get noReadBefore(): MonotonicMs {
    return this.#lanes.read.notBefore;
  }

  /** No write before this. */
  get noWriteBefore(): MonotonicMs {
    return this.#lanes.write.notBefore;
  }

  /** When to look if nothing is heard; undefined while a watch is open. */
  get pollAt(): MonotonicMs | undefined {
    return this.#pollAt;
  }

  /** What is wrong at the moment: why the newest request got no answer to use. */
  get problem(): LeaseRequestError | undefined {
    return this.#problem;
  }

  /** A request goes out now; returns that instant. */
  sends(kind: RequestKind, sender: Sender): MonotonicMs {
    const now = this.#clock.now();
    this.#lanes[kind].sends(now, this.#later(now, this.resendAfterMs, sender));
    if (this.#pollAt !== undefined) this.#pollAt = this.#retryAt(now, sender);
    return now;
  }

  /**
   * The request sent at that instant was answered: the next may go at once.
   *
   * @param wasDue It was made because its time had come, as renewals are. Default: because of something that was heard.
   */
  answered(kind: RequestKind, sentAt: MonotonicMs, wasDue = false): void {
    this.#problem = undefined;
    this.#answeredAt = later(this.#answeredAt, sentAt);
    // An older request, answered late, says nothing of what was asked since.
    if (sentAt >= this.#askedAt) this.#askedUntil = LONG_AGO;
    this.#lanes[kind].succeeded(sentAt, wasDue ? 'entirely' : 'mostly');
    if (kind === 'write') this.#conflicts = 0;
  }

  /** The request sent at that instant failed. @param atOnce It may be made again without a pause, once. */
  failed(
    kind: RequestKind,
    error: LeaseRequestError,
    sentAt: MonotonicMs,
    sender: Sender,
    atOnce = false,
  ): void {
    this.#lanes[kind].failed(sentAt, atOnce ? LONG_AGO : this.#retryAt(sentAt, sender));
    // A later request has been answered since: whatever was wrong with this one is over.
    if (sentAt < this.#answeredAt) return;
    this.#problem = error;
    const { retryAfterMs } = error;
    if (retryAfterMs === undefined) return;
    // A leader waits as long as it is asked to, but not past the middle of what is left.
    const longest = sender.validFor === undefined ? this.#longestPause : sender.validFor / 2;
    this.#askedAt = sentAt;
    this.#askedUntil = after(this.#clock.now(), Math.min(retryAfterMs, longest));
  }

  /**
   * The write sent at that instant was refused as a conflict: look, and write on top of what there is.
   *
   * @returns how many times in a row that happened, though nobody else took the lease.
   */
  conflicted(sentAt: MonotonicMs): number {
    this.#lanes.write.refused(sentAt);
    this.#conflicts += 1;
    return this.#conflicts;
  }

  /** Another holds the lease, and must be respected: if a write was refused, it was for that. */
  lostRace(): void {
    if (this.#conflicts > 0) this.#lanes.write.excuse();
    this.#conflicts = 0;
  }

  /** Whether `atOnce` makes a difference to the request sent at that instant: nothing newer is sent, and haste is left. */
  mayRepeat(kind: RequestKind, sentAt: MonotonicMs): boolean {
    return this.#lanes[kind].isNewest(sentAt) && this.#lanes[kind].isRested(this.#clock.now());
  }

  /** What is known has changed, or is in doubt: do not wait. */
  hurry(): void {
    const now = this.#clock.now();
    this.#lanes.read.hurry(now);
    this.#lanes.write.hurry(now);
  }

  /** The lease was released, and every follower heard it at the same time. */
  joinCrowd(): void {
    const now = this.#clock.now();
    this.#lanes.read.hurry(now);
    this.#lanes.write.hurry(after(now, this.#clock.random() * RELEASE_JITTER_MS));
  }

  /** Something is in doubt: do not wait with a read. */
  hurryToLook(): void {
    this.#lanes.read.hurry(this.#clock.now());
  }

  /** The watch opened or closed. */
  watching(isOpen: boolean, sender: Sender): void {
    this.#pollAt = isOpen ? undefined : this.#retryAt(this.#clock.now(), sender);
  }

  #retryAt(since: MonotonicMs, sender: Sender): MonotonicMs {
    return this.#later(since, this.#retryPeriod, sender);
  }

  #later(since: MonotonicMs, ms: number, { validFor }: Sender): MonotonicMs {
    const crowd = validFor === undefined ? this.#clock.random() * this.#jitterFactor : 0;
    return after(since, ms * (1 + crowd));
  }
}
