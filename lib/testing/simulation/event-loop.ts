import type { SimulatedTime } from '../simulated-time.js';

/**
 * What a process is doing. `blocked`: its code runs in a busy loop, so it can look at the clock but hears nothing;
 * `frozen`: nothing of it runs (SIGSTOP, or its machine is suspended).
 */
export type Liveness = 'running' | 'blocked' | 'frozen' | 'dead';

/** The event loop of a simulated process: what is due while it cannot run waits, and then comes in any order. */
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

  /** Nothing is waiting to run: what the process could have noticed, it has. */
  get isIdle(): boolean {
    return this.#liveness === 'running' && this.#catchingUp === 0;
  }

  /** Runs it now, or when the process can run again, or never. */
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

  /** Runs again: first what has waited, timers and messages mixed, each with all that follows from it. */
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
