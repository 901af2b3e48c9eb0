import type { SimulatedTime } from '../simulated-time.js';

/**
 * The state of a process. `blocked`: its code runs in a busy loop, so it can read the clock but receives nothing.
 * `frozen`: none of its code runs (SIGSTOP, or its machine is suspended).
 */
export type Liveness = 'running' | 'blocked' | 'frozen' | 'dead';

/**
 * The event loop of a simulated process. Callbacks that are due while the process cannot run wait, and then run in
 * random order.
 */
export class EventLoop {
  readonly #time: SimulatedTime;
  #liveness: Liveness = 'running';
  #waiting: (() => void)[] = [];
  #catchingUp = 0;

  constructor(time: SimulatedTime) {
    this.#time = time;
  }

  get liveness(): Liveness {
    return this.#liveness;
  }

  /** Whether no callback is waiting, so the process has noticed everything that it could. */
  get isIdle(): boolean {
    return this.#liveness === 'running' && this.#catchingUp === 0;
  }

  /** Runs a callback now, or when the process can run again; never if the process is dead. */
  readonly deliver = (callback: () => void): void => {
    if (this.#liveness === 'running') callback();
    else if (this.#liveness !== 'dead') this.#waiting.push(callback);
  };

  halt(how: 'blocked' | 'frozen'): void {
    if (this.#liveness !== 'dead') this.#liveness = how;
  }

  kill(): void {
    this.#liveness = 'dead';
    this.#waiting = [];
  }

  /**
   * Lets the process run again. The callbacks that have waited run first, timers and messages in random order, each
   * with everything that follows from it.
   */
  go(): void {
    if (this.#liveness === 'dead') return;
    this.#liveness = 'running';
    const waited = this.#waiting;
    this.#waiting = [];
    while (waited.length > 0) {
      const [callback] = waited.splice(this.#time.chance.integer(0, waited.length - 1), 1);
      this.#catchingUp += 1;
      this.#time.schedule(0, () => {
        this.#catchingUp -= 1;
        if (callback !== undefined) this.deliver(callback);
      });
    }
  }
}
