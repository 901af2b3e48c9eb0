import type { Candidacy } from './candidacy.js';
import type { Disposer } from './clock.js';
import type { Coordination } from './coordination.js';
import type { LeaderError } from './errors.js';

/** Whether this process wants to lead, and whom it asks: nobody, or the server of a coordinated election. */
export class Standing {
  readonly #candidacy: Candidacy;
  readonly #coordination: Coordination | undefined;
  #told: LeaderError | undefined;

  constructor(candidacy: Candidacy, coordination: Coordination | undefined) {
    this.#candidacy = candidacy;
    this.#coordination = coordination;
  }

  /** The election is to be coordinated, whether or not the server can do that. */
  get isCoordinated(): boolean {
    return this.#coordination !== undefined;
  }

  /** The server says who is to hold the lease. */
  get elects(): boolean {
    return this.#coordination?.elects === true;
  }

  /** This process wants to lead, and knows how that is done. */
  get wanted(): boolean {
    const knowsHow = this.#coordination === undefined || this.#coordination.elects !== undefined;
    return this.#candidacy.stands && knowsHow;
  }

  /** What keeps this process from it, or its election from being as it should. */
  get objection(): LeaderError | undefined {
    return this.#candidacy.objection ?? this.#coordination?.objection;
  }

  /** @param changed is called when any of the above may have changed; `objection`: there is another than before. */
  observe(changed: (objection: 'another' | 'same') => void): Disposer {
    const look = (): void => {
      const isSame = this.objection === this.#told;
      this.#told = this.objection;
      changed(isSame ? 'same' : 'another');
    };
    const disregard = [this.#candidacy.observe(look), this.#coordination?.observe(look)];
    return () => {
      for (const each of disregard) each?.();
    };
  }

  /** Up for election while this process `would` take the lease, or holds it; not otherwise. */
  stand(would: boolean): void {
    if (would && this.wanted) this.#coordination?.stand();
    else void this.#coordination?.withdraw();
  }

  /** Down, as far as it can be had. */
  async withdraw(): Promise<void> {
    await this.#coordination?.withdraw();
  }
}
