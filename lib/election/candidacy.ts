import type { Disposer } from './clock.js';
import type { LeaderError } from './errors.js';

/** Whether this process wants to lead at the moment. While it does not, it follows; if it leads, it hands over. */
export interface Candidacy {
  readonly stands: boolean;
  /** Why it does not, if that is something to mend: told as an error, and shown in the state. */
  readonly objection: LeaderError | undefined;
  /** Begins to look, and calls back whenever the above may have changed, until the returned function is called. */
  observe(changed: () => void): Disposer;
}

/** Always wants to. */
export const ALWAYS: Candidacy = {
  stands: true,
  objection: undefined,
  observe: () => () => undefined,
};
