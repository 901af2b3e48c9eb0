/**
 * What is done around every term besides the election itself: a label on the Pod, a route that is announced.
 *
 * The election waits for it, but never for long: the validity of the term runs meanwhile, and a leader that does not work is
 * worse than a label that is missing.
 */
import type { Clock } from './clock.js';
import { LeaderError, isLeaderError } from './errors.js';
import type { LeadershipTerm } from './term.js';

/** See the head of the file. Both methods may fail in any way: it is told as an error, and the election goes on. */
export interface TermGuard {
  /**
   * The lease is held. The term is told of, and its gate opens, when this has resolved or rejected, or when `signal` fires:
   * after `retryPeriod`, or because the term is over before its work began.
   */
  atStart(term: LeadershipTerm, signal: AbortSignal): Promise<void>;
  /**
   * Once for each `atStart`. In a hand-over: the work has ended, the lease is still renewed, and released when this has
   * resolved or rejected, or when `signal` fires, after `retryPeriod`. When the term was lost: at once, and nobody waits.
   */
  atEnd(term: LeadershipTerm, signal: AbortSignal): Promise<void>;
}

/**
 * Waits for `act` until it settles or `waiting` is aborted, which it is after `withinMs`. Never rejects.
 *
 * @returns what went wrong, if anything.
 */
export async function within(
  withinMs: number,
  clock: Clock,
  waiting: AbortController,
  act: (signal: AbortSignal) => Promise<void>,
): Promise<LeaderError | undefined> {
  const { signal } = waiting;
  let disarm = clock.setTimer(withinMs, () => {
    waiting.abort(tooLate(withinMs));
  });
  const givenUp = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => {
      disarm();
      // What ends at the signal may say why it could not be done.
      disarm = clock.setTimer(0, () => {
        reject(signal.reason as Error);
      });
    });
  });
  try {
    await Promise.race([act(signal), givenUp]);
    return undefined;
  } catch (error) {
    return isLeaderError(error) ? error : failed(error);
  } finally {
    disarm();
  }
}

function tooLate(withinMs: number): LeaderError {
  return new LeaderError(
    'LEADER_GUARD_FAILED',
    `What is to be done when a term starts or ends was not done within ${String(withinMs)} ms (retryPeriod). The election ` +
      `goes on without it.`,
  );
}

function failed(cause: unknown): LeaderError {
  return new LeaderError(
    'LEADER_GUARD_FAILED',
    'What is to be done when a term starts or ends has failed; see its cause. The election goes on without it.',
    { cause },
  );
}
