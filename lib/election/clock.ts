/**
 * The only source of time and randomness. The election never touches `Date`, timers or `Math.random`, so a test can run a
 * whole fleet on simulated time.
 *
 * Two kinds of time are kept apart by their types. Monotonic time measures durations and decides about leadership; it means
 * nothing outside this process. Wall time is what a record shows to people. It may step; it is checked only in addition,
 * because the monotonic clock stops while a virtual machine is suspended.
 */

declare const monotonic: unique symbol;
declare const wall: unique symbol;

/** An instant on this process' monotonic clock, in milliseconds. Never comes from another machine. */
export type MonotonicMs = number & { readonly [monotonic]: true };

/** An instant of wall time, in milliseconds since 1970. May step in either direction. */
export type WallMs = number & { readonly [wall]: true };

/** One instant, by both clocks. */
export interface Instant {
  readonly now: MonotonicMs;
  readonly date: WallMs;
}

/** Undoes a set-up: clears a timer, removes a listener. Calling it twice is harmless. */
export type Disposer = () => void;

/** Time, timers and randomness, as the election sees them. {@link SystemClock} is the real one. */
export interface Clock {
  /** Monotonic milliseconds. Never goes back; may stand still while the machine is suspended. */
  now(): MonotonicMs;
  /** Wall-clock milliseconds since 1970. */
  date(): WallMs;
  /** Calls `callback` once, after `delayMs`. It may fire early if the delay is longer than the platform's timers allow. */
  setTimer(delayMs: number, callback: () => void): Disposer;
  /** A number in [0, 1). */
  random(): number;
}

/** `instant` moved by `ms`. Keeps the brand, so that a sum of two instants does not compile. */
export function after<T extends MonotonicMs | WallMs>(instant: T, ms: number): T {
  return (instant + ms) as T;
}

/** Before every instant of the monotonic clock: "at once". */
export const LONG_AGO = Number.NEGATIVE_INFINITY as MonotonicMs;

/** After every instant of the monotonic clock. */
export const NEVER = Number.POSITIVE_INFINITY as MonotonicMs;

/** The earlier of two instants of one clock. */
export function earlier<T extends MonotonicMs | WallMs>(a: T, b: T): T {
  return a < b ? a : b;
}

/** The later of two instants of one clock. */
export function later<T extends MonotonicMs | WallMs>(a: T, b: T): T {
  return a > b ? a : b;
}
