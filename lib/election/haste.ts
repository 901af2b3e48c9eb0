import { LONG_AGO, after, later, type MonotonicMs } from './clock.js';

/** How many requests of a kind may come to nothing one right after the other; then they are paced. */
const AT_ONCE = 2;
/** How much of a request's share is given back when it came to something: so many of those make up one. */
const CHEAPER_BY = 8;

/**
 * How many requests of one kind may be made without waiting: two, and then one a `period`, whatever comes back. One that
 * came to something costs an eighth. So nothing that an API server says or does makes a loop of requests.
 */
export class Haste {
  readonly #period: number;
  /** When everything that was spent has been made up for. */
  #restedAt = LONG_AGO;

  constructor(period: number) {
    this.#period = period;
  }

  /** No request before this. */
  get notBefore(): MonotonicMs {
    return after(this.#restedAt, -(AT_ONCE - 1) * this.#period);
  }

  /** A request is made. */
  spend(now: MonotonicMs): void {
    this.#restedAt = after(later(this.#restedAt, now), this.#period);
  }

  /** One of those that were made has come to something. `entirely`: it was paced anyway, and costs nothing. */
  giveBack(share: 'mostly' | 'entirely'): void {
    const part = share === 'entirely' ? 1 : 1 - 1 / CHEAPER_BY;
    this.#restedAt = after(this.#restedAt, -part * this.#period);
  }
}
