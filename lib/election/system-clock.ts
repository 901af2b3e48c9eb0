import type { Clock, Disposer, MonotonicMs, WallMs } from './clock.js';

/** Node fires longer timers at once. The elector checks the clock when a timer fires, and sets another. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Linux may wake a process late by a thousandth of the time it sleeps (select_estimate_accuracy in fs/select.c), so a
 * longer timer is set again for its last part: a lease that expires after 15 s would be taken over up to 15 ms late.
 */
const COARSE_FROM_MS = 1_000;
const COARSE_PART = 0.995;

/** The real clock: `performance.now()`, `Date.now()`, `setTimeout`, `Math.random()`. */
export class SystemClock implements Clock {
  now(): MonotonicMs {
    return performance.now() as MonotonicMs;
  }

  date(): WallMs {
    return Date.now() as WallMs;
  }

  setTimer(delayMs: number, callback: () => void): Disposer {
    const at = this.now() + delayMs;
    const coarseMs = delayMs > COARSE_FROM_MS && delayMs < LONGEST_TIMER_MS ? delayMs * COARSE_PART : 0;
    let timer: NodeJS.Timeout | undefined;
    const setLast = (): void => {
      // Not longer than planned: whoever fakes timers may leave the clock real.
      const restMs = Math.ceil(Math.min(at - this.now(), delayMs - coarseMs));
      timer = setTimeout(callback, Math.min(Math.max(restMs, 0), LONGEST_TIMER_MS));
    };
    if (coarseMs > 0) timer = setTimeout(setLast, coarseMs);
    else setLast();
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
