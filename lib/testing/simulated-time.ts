/**
 * Time that moves only when a test says so, for any number of processes with clocks of their own.
 *
 * It stops at every instant at which something is due, in order of time and then of creation, and lets everything that
 * follows from it happen before it goes on. Nothing here waits in real time.
 */
import { setImmediate } from 'node:timers/promises';
import type { Clock, Disposer, MonotonicMs, WallMs } from '../election/index.js';

interface DueCall {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
}

/** How a process' clock differs from true time. */
export interface SimulatedClockOptions {
  /** How fast the monotonic clock runs. Default 1. */
  readonly rate?: number;
  /** By how many milliseconds the wall clock is off. Default 0. */
  readonly wallOffsetMs?: number;
}

/** Wall time at the start of every simulation: 2026-01-01T00:00:00Z. */
const EPOCH_MS = Date.UTC(2026, 0, 1);

/** The one time of a simulated world, in milliseconds from 0. See the head of the file. */
export class SimulatedTime {
  #now = 0;
  #order = 0;
  #due: DueCall[] = [];
  #random: () => number;

  /** @param seed All chance of this world follows from it. */
  constructor(seed = 1) {
    this.#random = mulberry32(seed);
  }

  /** True time. */
  get now(): number {
    return this.#now;
  }

  /** How many calls are still due. */
  get pending(): number {
    return this.#due.length;
  }

  /** A number in [0, 1), from the seed. */
  random(): number {
    return this.#random();
  }

  /** Calls back `delayMs` from now. */
  schedule(delayMs: number, callback: () => void): Disposer {
    const due = { at: this.#now + Math.max(delayMs, 0), order: this.#order++, callback };
    this.#due.push(due);
    return () => {
      const index = this.#due.indexOf(due);
      if (index >= 0) this.#due.splice(index, 1);
    };
  }

  /** A process' own clock on this time. */
  clock(options: SimulatedClockOptions = {}): SimulatedClock {
    return new SimulatedClock(this, options);
  }

  /** Lets time pass and everything happen that is due in it. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    await this.settle();
    for (let next = this.#next(until); next !== undefined; next = this.#next(until)) {
      this.#now = Math.max(this.#now, next.at);
      this.#due.splice(this.#due.indexOf(next), 1);
      next.callback();
      await this.settle();
    }
    this.#now = until;
  }

  /**
   * Lets time pass until `condition` holds.
   *
   * @throws Error when that is not so within `withinMs` of simulated time, or when nothing is due that could change
   * anything: a test that waits for nothing fails, and does not hang.
   */
  async advanceUntil(condition: () => boolean, withinMs: number): Promise<void> {
    const until = this.#now + withinMs;
    await this.settle();
    while (!condition()) {
      const next = this.#next(until);
      if (next === undefined) {
        throw new Error(
          `At ${String(this.#now)} ms of simulated time the condition does not hold, and nothing more is due before ` +
            `${String(until)} ms: ${condition.toString()}`,
        );
      }
      await this.advance(next.at - this.#now);
    }
  }

  /** Time passes, but nothing that is due happens until the next `advance`: the process was stopped, or busy. */
  jump(ms: number): void {
    this.#now += ms;
  }

  /** Lets happen what follows from what has happened, without time passing. */
  async settle(): Promise<void> {
    await setImmediate();
  }

  #next(until: number): DueCall | undefined {
    let next: DueCall | undefined;
    for (const due of this.#due) {
      if (due.at > until) continue;
      if (next === undefined || due.at < next.at || (due.at === next.at && due.order < next.order))
        next = due;
    }
    return next;
  }
}

/** One process' clock in a simulated world. */
export class SimulatedClock implements Clock {
  readonly #time: SimulatedTime;
  readonly #rate: number;
  #wallOffsetMs: number;

  /** @internal Use {@link SimulatedTime.clock}. */
  constructor(time: SimulatedTime, { rate = 1, wallOffsetMs = 0 }: SimulatedClockOptions) {
    this.#time = time;
    this.#rate = rate;
    this.#wallOffsetMs = wallOffsetMs;
  }

  now(): MonotonicMs {
    return (this.#time.now * this.#rate) as MonotonicMs;
  }

  date(): WallMs {
    return (EPOCH_MS + this.#time.now + this.#wallOffsetMs) as WallMs;
  }

  setTimer(delayMs: number, callback: () => void): Disposer {
    return this.#time.schedule(delayMs / this.#rate, callback);
  }

  random(): number {
    return this.#time.random();
  }

  /** Somebody sets the wall clock. */
  stepWall(ms: number): void {
    this.#wallOffsetMs += ms;
  }
}

/** A small generator of good enough chance, with one number for its whole state. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
