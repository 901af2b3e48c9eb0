import type { Disposer, LeaderError } from '../../election/index.js';

/** This process' place among the candidates of a coordinated election (KEP-4355). */
export interface Coordination {
  /**
   * Whether the API server chooses the holder. False: nobody does, so the lease is claimed as in any election. Undefined:
   * not known yet; until then this process does not campaign.
   */
  readonly elects: boolean | undefined;
  /** What is wrong with it: told as an error, and shown in the state. */
  readonly objection: LeaderError | undefined;
  /** Begins to find out, and calls back whenever the above may have changed, until the returned function is called. */
  observe(changed: () => void): Disposer;
  /** Puts this process up for election. Does nothing while it is. */
  stand(): void;
  /** Takes it down; resolves when it is down, or cannot be taken down within a bound. Does nothing while it is down. */
  withdraw(): Promise<void>;
}
