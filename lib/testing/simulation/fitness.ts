import type { Candidacy, Disposer } from '../../election/internal.js';

/** Whether a simulated process is fit to lead. */
export class Fitness implements Candidacy {
  readonly objection = undefined;
  #stands = true;
  #changed: () => void = () => undefined;

  get stands(): boolean {
    return this.#stands;
  }

  set stands(stands: boolean) {
    this.#stands = stands;
    this.#changed();
  }

  observe(changed: () => void): Disposer {
    this.#changed = changed;
    return () => {
      this.#changed = () => undefined;
    };
  }
}
