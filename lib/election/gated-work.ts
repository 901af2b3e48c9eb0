import { captureContext } from './async-context.js';
import type { Disposer } from './clock.js';

/** Counts the work that runs in a term, and tells when there is none left. */
export class GatedWork {
  #running = 0;
  #onIdle: (() => void)[] = [];

  /** How many pieces of work run. */
  get running(): number {
    return this.#running;
  }

  /** A piece of work begins. Call the returned function when it has ended. */
  enter(): Disposer {
    this.#running += 1;
    let entered = true;
    return () => {
      if (!entered) return;
      entered = false;
      this.#running -= 1;
      if (this.#running === 0) this.#idle();
    };
  }

  /** Calls back once, as soon as nothing runs: at once if that is so now. In the async context of whoever calls this. */
  whenIdle(callback: () => void): void {
    if (this.#running === 0) {
      callback();
      return;
    }
    const enter = captureContext();
    this.#onIdle.push(() => {
      enter(callback);
    });
  }

  #idle(): void {
    const callbacks = this.#onIdle;
    this.#onIdle = [];
    for (const callback of callbacks) callback();
  }
}
