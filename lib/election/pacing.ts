/**
 * When the next request may go: one at a time, the next when `retryPeriod` has passed without a reply, later when the
 * server asks for it; and, without a watch, when to look although nothing was heard.
 */
import { LONG_AGO, after, later, type Clock, type MonotonicMs } from './clock.js';
import type { LeaseRequestError } from './errors.js';

/** Who sends, which decides about haste. */
export interface Sender {
  /** Milliseconds for which the own term is certain; undefined for a follower. */
  readonly validFor: number | undefined;
}

/** The followers of a released lease try within this time of each other. */
const RELEASE_JITTER_MS = 3;

/** See the head of the file. */
export class Pacing {
  readonly #clock: Clock;
  readonly #retryPeriod: number;
  /** A follower's retry comes up to this many times `retryPeriod` later, so that a crowd spreads out. */
  readonly #jitterFactor: number;
  readonly #longestPause: number;
  #notBefore = LONG_AGO;
  #noWriteBefore = LONG_AGO;
  /** The server asked to be left alone until then. */
  #askedUntil = LONG_AGO;
  /** In answer to a request sent then. */
  #askedAt = LONG_AGO;
  #pollAt: MonotonicMs | undefined;
  /** When the newest request that was answered had been sent. */
  #answeredAt = LONG_AGO;

  /** @param options `renewDeadline`: for no longer does anybody wait, whatever the server asks. */
  constructor(clock: Clock, options: { retryPeriod: number; jitterFactor: number; renewDeadline: number }) {
    this.#clock = clock;
    this.#retryPeriod = options.retryPeriod;
    this.#jitterFactor = options.jitterFactor;
    this.#longestPause = options.renewDeadline;
  }

  /** No request before this. */
  get notBefore(): MonotonicMs {
    return this.#notBefore;
  }

  /** No write before this. */
  get noWriteBefore(): MonotonicMs {
    return this.#noWriteBefore;
  }

  /** When to look if nothing is heard; undefined while a watch is open. */
  get pollAt(): MonotonicMs | undefined {
    return this.#pollAt;
  }

  /** A request goes out now; returns that instant. */
  sends(sender: Sender): MonotonicMs {
    const now = this.#clock.now();
    this.#notBefore = this.#retryAt(now, sender);
    if (this.#pollAt !== undefined) this.#pollAt = this.#notBefore;
    return now;
  }

  /** The request sent at that instant was answered: the next may go at once. */
  answered(sentAt: MonotonicMs): void {
    this.#answeredAt = later(this.#answeredAt, sentAt);
    // An older request, answered late, says nothing of what was asked since.
    if (sentAt >= this.#askedAt) this.#askedUntil = LONG_AGO;
    this.#notBefore = this.#askedUntil;
  }

  /** The lease has changed: a write that failed before says nothing about the next. */
  moved(): void {
    this.#noWriteBefore = LONG_AGO;
  }

  /** The write sent at that instant failed, and may have been carried out: look at once, but write again later. */
  writeFailed(sentAt: MonotonicMs, sender: Sender): void {
    this.#noWriteBefore = this.#retryAt(sentAt, sender);
  }

  /** The request sent at that instant failed. */
  failed(error: LeaseRequestError, sentAt: MonotonicMs, sender: Sender): void {
    // A later request has been answered since: whatever was wrong with this one is over.
    if (sentAt < this.#answeredAt) return;
    const { retryAfterMs } = error;
    if (retryAfterMs !== undefined) {
      // A leader waits as long as it is asked to, but not past the middle of what is left.
      const longest = sender.validFor === undefined ? this.#longestPause : sender.validFor / 2;
      this.#askedAt = sentAt;
      this.#askedUntil = after(this.#clock.now(), Math.min(retryAfterMs, longest));
    }
    this.#notBefore = retryAfterMs === undefined ? this.#retryAt(sentAt, sender) : this.#askedUntil;
  }

  /** What is known has changed, or is in doubt: do not wait, unless refused again and again in spite of looking. */
  hurry(refusalsInARow = 0): void {
    const now = this.#clock.now();
    this.#go(refusalsInARow > 1 ? this.#retryAt(now, { validFor: undefined }) : now);
  }

  /** The lease was released, and every follower heard it at the same time. */
  joinCrowd(): void {
    this.#go(after(this.#clock.now(), this.#clock.random() * RELEASE_JITTER_MS));
  }

  /** The watch opened or closed. */
  watching(isOpen: boolean, sender: Sender): void {
    this.#pollAt = isOpen ? undefined : this.#retryAt(this.#clock.now(), sender);
  }

  #go(at: MonotonicMs): void {
    this.#notBefore = later(at, this.#askedUntil);
  }

  #retryAt(since: MonotonicMs, { validFor }: Sender): MonotonicMs {
    const crowd = validFor === undefined ? this.#clock.random() * this.#jitterFactor : 0;
    return after(since, this.#retryPeriod * (1 + crowd));
  }
}
