import { AsyncQueue } from './async-queue.js';
import type { Elector } from '../elector.js';
import { LeaderError } from '../errors.js';
import type { Role } from '../static/static-elector.js';

/** A started election, as two streams. Both end when the elector has stopped. */
export interface RunningElection {
  /** The role of this process: the first one, then each change. */
  readonly roles: AsyncIterableIterator<Role>;
  /** The errors of the election; a fatal error of the elector is the last. Cancellation is not an error. */
  readonly errors: AsyncIterableIterator<unknown>;
  /** Resolves when the elector has stopped, also if it stopped with an error. */
  readonly stopped: Promise<void>;
}

/** Runs an elector once, for callers that read streams instead of observing events. */
export class ElectionRunner {
  readonly #elector: Elector;
  #started = false;

  constructor(elector: Elector) {
    this.#elector = elector;
  }

  /**
   * Starts the election; aborting `signal` stops it. Unread values stay in memory: read both streams, or call `return()` on
   * the one that you do not read.
   *
   * @throws LeaderError `LEADER_ALREADY_STARTED` when called a second time.
   */
  start(signal: AbortSignal): RunningElection {
    if (this.#started) {
      throw new LeaderError(
        'LEADER_ALREADY_STARTED',
        'This ElectionRunner was started a second time. Create a new runner for each run.',
      );
    }
    this.#started = true;
    const roles = new AsyncQueue<Role>();
    const errors = new AsyncQueue<unknown>();
    let role: Role | undefined;
    const stopped = this.#elector
      .run(signal, (event) => {
        if (event.type === 'error') errors.push(event.error);
        if (event.type !== 'stateChanged') return;
        const next = event.state.kind === 'leading' ? 'leader' : 'follower';
        if (next !== role) roles.push(next);
        role = next;
      })
      .catch((error: unknown) => {
        errors.push(error);
      })
      .finally(() => {
        roles.end();
        errors.end();
      });
    return { roles, errors, stopped };
  }
}
