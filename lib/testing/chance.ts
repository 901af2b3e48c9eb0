/** Random numbers that follow from one seed, so that a run can be repeated. */
export class Chance {
  #state: number;

  /** @param seed The same seed gives the same numbers. */
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A number in [0, 1). A small generator (mulberry32), good enough for tests. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  between(low: number, high: number): number {
    return low + this.next() * (high - low);
  }

  /** A whole number from `low` to `high`, both included. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  happens(probability: number): boolean {
    return this.next() < probability;
  }

  /** One element of a non-empty list. */
  oneOf<T>(list: readonly T[]): T {
    return list[this.integer(0, list.length - 1)] as T;
  }

  /** A number from 0 to `limit`: mostly small, sometimes near the limit, because faults are most interesting there. */
  skewed(limit: number): number {
    return limit * this.next() ** 3;
  }
}
