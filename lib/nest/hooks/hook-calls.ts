import { bounded, type Clock } from '../../election/index.js';

/**
 * The calls of hooks that run outside any term and have not ended. A shutdown waits for each until it has ended or has run for
 * `limitMs`, so that no hook can block it for ever.
 */
export class HookCalls {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #warn: (line: string) => void;
  readonly #running = new Set<Promise<void>>();

  /** @param limitMs how many milliseconds a call is waited for, from its beginning. */
  constructor(clock: Clock, limitMs: number, warn: (line: string) => void) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#warn = warn;
  }

  /** Tracks what `hook` returned, if it is a promise, and warns if that does not settle within the limit. */
  track(hook: string, returned: unknown): void {
    if (!(returned instanceof Promise)) return;
    const ended = this.#ended(hook, returned).finally(() => this.#running.delete(ended));
    this.#running.add(ended);
  }

  /** Resolves when the call has ended, with an error or without, or has run for the limit. */
  async #ended(hook: string, call: Promise<unknown>): Promise<void> {
    const [clock, ms] = [this.#clock, this.#limitMs];
    const tooLong = new Error(
      `${hook} has not ended ${String(ms)} ms after it was called (drainTimeout). Nothing waits for it any longer.`,
    );
    try {
      await bounded({ deadline: { clock, ms, error: () => tooLong } }, () => call);
    } catch (error) {
      // Whatever else it is, the hook failed with it, and that is reported where the hook is called.
      if (error === tooLong) this.#warn(tooLong.message);
    }
  }

  /** Resolves when no call is waited for any more. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }
}
