import type { Disposer } from './clock.js';
import type { LeaderError } from './errors.js';

/**
 * A process' place among the candidates of a coordinated election (KEP-4355), in which whoever keeps the lease also says
 * who is to hold it. Whatever it says, terms begin and end by the rules of any election.
 */
export interface Coordination {
  /**
   * Whether the lease is given to one of the candidates. False: nobody gives it, so it is claimed as in any election.
   * Undefined: not known yet, and until then this process does not campaign.
   */
  readonly elects: boolean | undefined;
  /** What is to be mended about it: told as an error, and shown in the state. */
  readonly objection: LeaderError | undefined;
  /** Begins to find out, and calls back whenever the above may have changed, until the returned function is called. */
  observe(changed: () => void): Disposer;
  /** Puts this process up for election. Does nothing while it stands already. */
  stand(): void;
  /** Takes it down; resolves when it is down, or cannot be had down within a bound. Does nothing while it is. */
  withdraw(): Promise<void>;
}
