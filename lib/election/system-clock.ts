import type { Clock, Disposer, MonotonicMs, WallMs } from './clock.js';

/** Node refuses longer timers (it would fire them at once). The elector looks again when one ends early. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The real clock: `performance.now()`, `Date.now()`, `setTimeout`, `Math.random()`. */
export class SystemClock implements Clock {
  now(): MonotonicMs {
    return performance.now() as MonotonicMs;
  }

  date(): WallMs {
    return Date.now() as WallMs;
  }

  setTimer(delayMs: number, callback: () => void): Disposer {
    const timer = setTimeout(callback, Math.min(Math.max(Math.ceil(delayMs), 0), LONGEST_TIMER_MS));
    return () => {
      clearTimeout(timer);
    };
  }

  random(): number {
    return Math.random();
  }
}

/** The clock of whoever is given none: one for all. */
export const systemClock: Clock = new SystemClock();
