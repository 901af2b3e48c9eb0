import type { Clock, Disposer, MonotonicMs, WallMs } from '../../lib/election/index.js';

/** A clock that a test moves, and whose timers a test fires. */
export class HandClock implements Clock {
  readonly #timers: { readonly delayMs: number; readonly callback: () => void }[] = [];
  #set: () => void = () => undefined;
  #now = 0;

  now(): MonotonicMs {
    return this.#now as MonotonicMs;
  }

  /** Moves the clock without firing timers. */
  pass(ms: number): void {
    this.#now += ms;
  }

  date(): WallMs {
    return Date.UTC(2026, 0, 1) as WallMs;
  }

  random(): number {
    return 0;
  }

  setTimer(delayMs: number, callback: () => void): Disposer {
    const timer = { delayMs, callback };
    this.#timers.push(timer);
    this.#set();
    return () => {
      const index = this.#timers.indexOf(timer);
      if (index >= 0) this.#timers.splice(index, 1);
    };
  }

  /** The delays of the timers that are set. */
  get delays(): number[] {
    return this.#timers.map(({ delayMs }) => delayMs);
  }

  /** Fires a timer with this delay, as soon as there is one. */
  async ring(delayMs: number): Promise<void> {
    for (;;) {
      const index = this.#timers.findIndex((timer) => timer.delayMs === delayMs);
      const [timer] = index < 0 ? [] : this.#timers.splice(index, 1);
      if (timer !== undefined) {
        timer.callback();
        return;
      }
      await new Promise<void>((resolve) => {
        this.#set = resolve;
      });
    }
  }
}
