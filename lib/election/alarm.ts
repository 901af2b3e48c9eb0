import type { Clock, Disposer, MonotonicMs } from './clock.js';

/** One timer that is moved, never multiplied. */
export class Alarm {
  readonly #clock: Clock;
  readonly #ring: () => void;
  #cancel: Disposer = () => undefined;

  constructor(clock: Clock, ring: () => void) {
    this.#clock = clock;
    this.#ring = ring;
  }

  /** Rings once, at `at`; an earlier setting is forgotten. Never, for an infinite instant. */
  set(at: MonotonicMs): void {
    this.#cancel();
    if (at === Number.POSITIVE_INFINITY) return;
    this.#cancel = this.#clock.setTimer(at - this.#clock.now(), this.#ring);
  }

  /** Does not ring any more. */
  clear(): void {
    this.#cancel();
  }
}
