import {
  isEarlierInstance,
  processOf,
  textOf,
  type Disposer,
  type HolderProcess,
  type ProofOfDeath,
} from '../../election/internal.js';

/**
 * Proves a holder dead that was an earlier instance of the container in which this process runs (ARCHITECTURE.md, rule 13). Sends
 * nothing.
 */
export class SameContainer implements ProofOfDeath {
  readonly self: string | undefined;
  readonly #own: HolderProcess | undefined;

  /** @param own undefined if this process is not certain of its pod and container: then nothing is noted, and nothing proven. */
  constructor(own: HolderProcess | undefined) {
    this.#own = own;
    this.self = own && textOf(own);
  }

  follow(process: string, gone: () => void): Disposer {
    const holder = processOf(process);
    if (holder !== undefined && this.#own !== undefined && isEarlierInstance(holder, this.#own)) gone();
    return () => undefined;
  }
}
