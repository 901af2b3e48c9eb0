import type { Clock } from '../../election/index.js';

/**
 * Calls of hooks that run outside any term, while their promises are pending. A shutdown waits for each until it has ended
 * or has run for the limit, so that none holds anything up for ever.
 */
export class HookCalls {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #warn: (line: string) => void;
  readonly #running = new Set<Promise<void>>();

  /** @param limitMs how long a call is waited for, from its beginning. */
  constructor(clock: Clock, limitMs: number, warn: (line: string) => void) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#warn = warn;
  }

  /** Waits for what `hook` returned, if it is a promise, and says so when it takes too long. */
  track(hook: string, returned: unknown): void {
    if (!(returned instanceof Promise)) return;
    const ended = new Promise<void>((resolve) => {
      const cancel = this.#clock.setTimer(this.#limitMs, () => {
        this.#warn(
          `${hook} has not ended ${String(this.#limitMs)} ms after it was called (drainTimeout). Nothing waits for it any longer.`,
        );
        resolve();
      });
      const end = (): void => {
        cancel();
        resolve();
      };
      returned.then(end, end);
    });
    this.#running.add(ended);
    void ended.then(() => this.#running.delete(ended));
  }

  /** Resolves when none is waited for any more. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }
}
