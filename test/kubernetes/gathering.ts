/** Waits for conditions that events bring about, and fails the wait when something forbidden happens. */
import { setTimeout } from 'node:timers/promises';

export class Gathering {
  #wake: () => void = () => undefined;
  #failure: string | undefined;

  /** Something happened. */
  tell(): void {
    this.#wake();
  }

  fail(why: string): void {
    this.#failure = why;
    this.#wake();
  }

  async until(condition: () => boolean): Promise<void> {
    while (!this.#holds(condition)) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Checks a condition again and again, if no event announces it. The test's time-out is the only bound. */
  async poll(condition: () => Promise<boolean>): Promise<void> {
    while (!(await condition())) await setTimeout(50);
  }

  #holds(condition: () => boolean): boolean {
    if (this.#failure !== undefined) throw new Error(this.#failure);
    return condition();
  }
}
