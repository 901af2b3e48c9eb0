import {
  refuseInvalid,
  type Clock,
  type Disposer,
  type MonotonicMs,
  type OptionRule,
  type WallMs,
} from '../election/internal.js';
import type { SimulatedTime } from './simulated-time.js';

/** How a process' clock differs from true time. */
export interface SimulatedClockOptions {
  /** How fast the monotonic clock runs. Default 1. */
  readonly rate?: number | undefined;
  /** By how many milliseconds the wall clock is off. Default 0. */
  readonly wallOffsetMs?: number | undefined;
  /** Runs the callbacks that are due, as the event loop of the process does. Default: at once. */
  readonly deliver?: ((callback: () => void) => void) | undefined;
}

interface Timer {
  readonly dueAt: number;
  readonly callback: () => void;
  cancel: Disposer;
}

/** The shortest timer. It lets time pass even if rounding puts a due time just out of reach again and again. */
const SHORTEST_TIMER_MS = 1e-6;

/** Wall time at the start of every simulation: 2026-01-01T00:00:00Z. */
const EPOCH_MS = Date.UTC(2026, 0, 1);

const rules: Record<keyof SimulatedClockOptions, OptionRule> = {
  rate: [
    (value) => typeof value === 'number' && Number.isFinite(value) && value > 0,
    'it must be a number above 0',
  ],
  wallOffsetMs: [Number.isFinite, 'it must be a number of milliseconds'],
  deliver: [(value) => typeof value === 'function', 'it must be a function'],
};

/** One process' clock in a simulated world. */
export class SimulatedClock implements Clock {
  readonly #time: SimulatedTime;
  readonly #rate: number;
  readonly #deliver: (callback: () => void) => void;
  readonly #timers = new Set<Timer>();
  #wallOffsetMs: number;
  /** For how long in true time the machine has been suspended, and since when it is. */
  #lostMs = 0;
  #suspendedAt: number | undefined;

  /** @internal Use {@link SimulatedTime.clock}. */
  constructor(time: SimulatedTime, options: SimulatedClockOptions) {
    refuseInvalid('The options of a SimulatedClock', options, rules);
    this.#time = time;
    this.#rate = options.rate ?? 1;
    this.#wallOffsetMs = options.wallOffsetMs ?? 0;
    this.#deliver =
      options.deliver ??
      ((callback) => {
        callback();
      });
  }

  now(): MonotonicMs {
    return (((this.#suspendedAt ?? this.#time.now) - this.#lostMs) * this.#rate) as MonotonicMs;
  }

  date(): WallMs {
    return (EPOCH_MS + this.#time.now + this.#wallOffsetMs) as WallMs;
  }

  setTimer(delayMs: number, callback: () => void): Disposer {
    const timer: Timer = { dueAt: this.now() + Math.max(delayMs, 0), callback, cancel: () => undefined };
    this.#timers.add(timer);
    this.#arm(timer);
    return () => {
      if (this.#timers.delete(timer)) timer.cancel();
    };
  }

  random(): number {
    return this.#time.chance.next();
  }

  /** How many timers are set. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Sets the wall clock forward or back. */
  stepWall(ms: number): void {
    this.#wallOffsetMs += ms;
  }

  /** Suspends the machine: the monotonic clock and all timers stop. The wall clock does not. */
  suspend(): void {
    this.#suspendedAt ??= this.#time.now;
    for (const timer of this.#timers) timer.cancel();
  }

  resume(): void {
    if (this.#suspendedAt === undefined) return;
    this.#lostMs += this.#time.now - this.#suspendedAt;
    this.#suspendedAt = undefined;
    for (const timer of this.#timers) this.#arm(timer);
  }

  #arm(timer: Timer): void {
    if (this.#suspendedAt !== undefined) return;
    const delayMs = (timer.dueAt - this.now()) / this.#rate;
    timer.cancel = this.#time.schedule(delayMs > 0 ? Math.max(delayMs, SHORTEST_TIMER_MS) : 0, () => {
      this.#deliver(() => {
        // The process may have cleared the timer before it came to this callback.
        if (this.#timers.delete(timer)) timer.callback();
      });
    });
  }
}
