/** Waits for messages of other processes, without polling. */

/** A bound in case a test hangs, not an expectation: the machine may be busy. */
const PATIENCE_MS = 90_000;

export class Vigil {
  readonly #watchers = new Set<() => void>();
  readonly #story: () => string;

  /** @param story what happened so far, for the error of a wait that fails. */
  constructor(story: () => string) {
    this.#story = story;
  }

  /** Call this after each message. */
  wake(): void {
    for (const look of [...this.#watchers]) look();
  }

  /**
   * Resolves with the result of `look` as soon as that is not undefined.
   *
   * @throws Error after a minute and a half, or the error of `look`.
   */
  until<T>(what: string, look: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#watchers.delete(watch);
      };
      const watch = (): void => {
        try {
          const found = look();
          if (found === undefined) return;
          end();
          resolve(found);
        } catch (error) {
          end();
          reject(error instanceof Error ? error : new Error('unknown', { cause: error }));
        }
      };
      const timer = setTimeout(() => {
        end();
        reject(new Error(`Timed out waiting for ${what}\n${this.#story()}`));
      }, PATIENCE_MS);
      this.#watchers.add(watch);
      watch();
    });
  }
}
