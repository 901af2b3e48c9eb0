import { captureContext } from './async-context.js';
import type { Disposer } from './clock.js';
import { isInTerm } from './current-term.js';
import type { LeadershipTerm } from './term.js';

/** Counts the work that runs in a term, and tells when there is none left. */
export class GatedWork {
  #running = 0;
  #onIdle: (() => void)[] = [];
  /** Terms that ended while something ran, perhaps work of theirs that still does. */
  readonly #outlived = new Set<LeadershipTerm>();

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

  /** That term has ended. Its work may run on, and is waited for by a hand-over of a later one, too. */
  outlive(term: LeadershipTerm): void {
    if (this.#running > 0) this.#outlived.add(term);
  }

  /** Whether the code that runs at the moment is work that a hand-over of `term` waits for. */
  isOfCaller(term: LeadershipTerm): boolean {
    return isInTerm(term) || [...this.#outlived].some(isInTerm);
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
    this.#outlived.clear();
    for (const callback of callbacks) callback();
  }
}
