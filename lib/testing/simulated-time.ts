import timers from 'node:timers';
import { InvalidOptionsError, isDuration, type Disposer } from '../election/internal.js';
import { Chance } from './chance.js';
import { SimulatedClock, type SimulatedClockOptions } from './simulated-clock.js';

interface DueCall {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
}

/** Node's own function, even while a test runner's fake timers replace it. */
const { setImmediate } = timers;

/**
 * The time of a simulated world, in milliseconds from 0, for any number of processes with clocks of their own. It
 * passes only when a test says so.
 *
 * It stops at each instant at which something is due; callbacks of one instant run in the order of their creation. It
 * continues when everything that follows from a callback has happened. Nothing here waits in real time.
 */
export class SimulatedTime {
  #now = 0;
  #order = 0;
  #due: DueCall[] = [];
  /** The random numbers of this world. */
  readonly chance: Chance;

  /** @param seed The same seed gives the same random numbers. */
  constructor(seed = 1) {
    this.chance = new Chance(seed);
  }

  /** The true time. */
  get now(): number {
    return this.#now;
  }

  /** How many callbacks are still due. */
  get pending(): number {
    return this.#due.length;
  }

  /** Calls `callback` after `delayMs`. */
  schedule(delayMs: number, callback: () => void): Disposer {
    const due = { at: this.#now + Math.max(delayMs, 0), order: this.#order++, callback };
    this.#due.push(due);
    return () => {
      const index = this.#due.indexOf(due);
      if (index >= 0) this.#due.splice(index, 1);
    };
  }

  /** The clock of one process on this time. */
  clock(options: SimulatedClockOptions = {}): SimulatedClock {
    return new SimulatedClock(this, options);
  }

  /**
   * Lets time pass, with everything that is due in it.
   *
   * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` if `ms` is not a number, or is negative.
   */
  async advance(ms: number): Promise<void> {
    refuseOther('advance', ms);
    const until = this.#now + ms;
    await this.settle();
    while (await this.step(until));
  }

  /**
   * Runs the next callback that is due by `until`, and everything that follows from it without time passing.
   *
   * @returns false if nothing more is due by then; the time is then `until`.
   */
  async step(until: number): Promise<boolean> {
    const next = this.#next(until);
    if (next === undefined) {
      this.#now = Math.max(this.#now, until);
      return false;
    }
    this.#now = Math.max(this.#now, next.at);
    this.#due.splice(this.#due.indexOf(next), 1);
    next.callback();
    await this.settle();
    return true;
  }

  /**
   * Lets time pass until `condition` holds.
   *
   * @throws Error if it does not hold within `withinMs` of simulated time, or if nothing is due that could change it:
   * so a test that waits in vain fails instead of hanging.
   */
  async advanceUntil(condition: () => boolean, withinMs: number): Promise<void> {
    refuseOther('advanceUntil', withinMs);
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

  /**
   * Lets time pass without running what is due; that runs with the next `advance`. It simulates a process that was
   * stopped or busy.
   */
  jump(ms: number): void {
    refuseOther('jump', ms);
    this.#now += ms;
  }

  /** Lets everything happen that follows without time passing. */
  async settle(): Promise<void> {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
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

function refuseOther(method: string, ms: number): void {
  if (isDuration(ms)) return;
  const violation = `${method}(${String(ms)}): it must be a number of milliseconds, 0 or more`;
  throw new InvalidOptionsError([violation], 'The argument of a SimulatedTime method');
}
