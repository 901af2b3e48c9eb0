import { LONG_AGO, later, type MonotonicMs } from './clock.js';
import { Haste } from './haste.js';

/** How many requests of a kind may be unanswered for another to be sent before its time, because something was heard. */
const UNANSWERED = { read: 0, write: 2 } as const;

/**
 * When the next request of one kind, read or write, may go: when the newest was answered, or has been unanswered for
 * long enough, and not faster than {@link Haste} allows. What becomes of an older one changes nothing.
 */
export class Lane {
  readonly #haste: Haste;
  readonly #mayBeUnanswered: number;
  #unanswered = 0;
  #newest = LONG_AGO;
  #notBefore = LONG_AGO;

  constructor(kind: 'read' | 'write', retryPeriod: number) {
    this.#haste = new Haste(retryPeriod);
    this.#mayBeUnanswered = UNANSWERED[kind];
  }

  /** No request of this kind before this. */
  get notBefore(): MonotonicMs {
    return later(this.#notBefore, this.#haste.notBefore);
  }

  /** One goes out; the next goes at `next` if nothing is heard of it. */
  sends(now: MonotonicMs, next: MonotonicMs): void {
    this.#haste.spend(now);
    this.#unanswered += 1;
    this.#newest = now;
    this.#notBefore = next;
  }

  /** The one sent at that instant came to something. */
  succeeded(sentAt: MonotonicMs, share: 'mostly' | 'entirely'): void {
    this.refused(sentAt);
    this.#haste.giveBack(share);
  }

  /** The one sent at that instant was answered: do otherwise, and at once. */
  refused(sentAt: MonotonicMs): void {
    this.#unanswered -= 1;
    if (this.isNewest(sentAt)) this.#notBefore = LONG_AGO;
  }

  /** The one sent at that instant failed: the next goes at `again`, unless a newer one is under way. */
  failed(sentAt: MonotonicMs, again: MonotonicMs): void {
    this.#unanswered -= 1;
    if (this.isNewest(sentAt)) this.#notBefore = again;
  }

  /** Whether haste is left for one more. */
  isRested(now: MonotonicMs): boolean {
    return this.#haste.notBefore <= now;
  }

  isNewest(sentAt: MonotonicMs): boolean {
    return sentAt === this.#newest;
  }

  /** Those that were refused were overtaken by somebody who did what they were to do. */
  excuse(): void {
    this.#haste.giveBack('mostly');
  }

  /** Something was heard: the next may go at `at`, unless too many are unanswered. */
  hurry(at: MonotonicMs): void {
    if (this.#unanswered <= this.#mayBeUnanswered) this.#notBefore = at;
  }
}
