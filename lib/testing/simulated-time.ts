import timers from 'node:timers';
import { InvalidOptionsError, isDuration, type Disposer } from '../election/index.js';
import { Chance } from './chance.js';
import { SimulatedClock, type SimulatedClockOptions } from './simulated-clock.js';

interface DueCall {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
}

/** Node's own, whatever a test runner's fake timers put in its place while a test runs. */
const { setImmediate } = timers;

/**
 * The time of a simulated world, in milliseconds from 0, for any number of processes with clocks of their own. It moves only
 * when a test says so.
 *
 * It stops at every instant at which something is due, in order of time and then of creation. Before it goes on, everything
 * that follows from what was due has happened. Nothing here waits in real time.
 */
export class SimulatedTime {
  #now = 0;
  #order = 0;
  #due: DueCall[] = [];
  /** All chance of this world. */
  readonly chance: Chance;

  /** @param seed All chance of this world follows from it. */
  constructor(seed = 1) {
    this.chance = new Chance(seed);
  }

  /** True time. */
  get now(): number {
    return this.#now;
  }

  /** How many calls are still due. */
  get pending(): number {
    return this.#due.length;
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

  /**
   * Lets time pass and everything happen that is due in it.
   *
   * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` when `ms` is no number, or less than 0: time does not go back.
   */
  async advance(ms: number): Promise<void> {
    refuseOther('advance', ms);
    const until = this.#now + ms;
    await this.settle();
    while (await this.step(until));
  }

  /**
   * Lets the next thing happen that is due by `until`, and all that follows from it without time passing.
   *
   * @returns false when nothing more is due by then, and it is `until`.
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
   * @throws Error when that is not so within `withinMs` of simulated time, or when nothing is due that could change
   * anything: a test that waits for nothing fails, and does not hang.
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

  /** Time passes, but nothing that is due happens until the next `advance`: the process was stopped, or busy. */
  jump(ms: number): void {
    refuseOther('jump', ms);
    this.#now += ms;
  }

  /** Lets happen what follows from what has happened, without time passing. */
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
  throw new InvalidOptionsError([violation], 'What was given to SimulatedTime');
}
