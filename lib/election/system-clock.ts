import type { Clock, Disposer, MonotonicMs, WallMs } from './clock.js';

/** Node fires longer timers at once. The elector checks the clock when a timer fires, and sets another. */
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

/** The shared default clock. */
export const systemClock: Clock = new SystemClock();
