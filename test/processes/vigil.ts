/** Waits for what other processes do: looks again whenever something was heard, never because time has passed. */

/** A bound against hanging, not an expectation: the machine may be busy. */
const PATIENCE_MS = 90_000;

export class Vigil {
  readonly #watchers = new Set<() => void>();
  readonly #story: () => string;

  /** @param story what happened so far, for who waited in vain. */
  constructor(story: () => string) {
    this.#story = story;
  }

  /** Something was heard. */
  wake(): void {
    for (const look of [...this.#watchers]) look();
  }

  /**
   * Resolves with what `look` gives as soon as that is something.
   *
   * @throws Error when it is nothing for a minute and a half; what `look` throws.
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
        reject(new Error(`Waited in vain for: ${what}\n${this.#story()}`));
      }, PATIENCE_MS);
      this.#watchers.add(watch);
      watch();
    });
  }
}
