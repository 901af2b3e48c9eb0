import {
  LeaseRequestError,
  bounded,
  type Clock,
  type Disposer,
  type LeaseCall,
} from '../../election/internal.js';

/** How long to wait for an answer, and after a failure. */
export interface Patience {
  readonly clock: Clock;
  /** In milliseconds. An answer may take a second even if this is less. */
  readonly retryPeriod: number;
}

/**
 * Makes a request. It is given up when it takes too long, or when `signal` fires.
 *
 * @throws LeaseRequestError `LEADER_REQUEST_TIMEOUT` if it takes too long.
 * @throws the reason of `signal`, and whatever the request throws.
 */
export function within<T>(
  { clock, retryPeriod }: Patience,
  request: (call: LeaseCall) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const ms = Math.max(retryPeriod, 1_000);
  return bounded({ signal, deadline: { clock, ms, error: () => tooLate(ms) } }, (givenUp) =>
    request({ signal: givenUp, newConnection: false }),
  );
}

/** A signal that fires `ms` after `begun` has fired, unless it is disarmed. */
export function overdueAfter(
  clock: Clock,
  ms: number,
  begun: AbortSignal,
): { readonly signal: AbortSignal; readonly disarm: Disposer } {
  const overdue = new AbortController();
  let disarm: Disposer = () => undefined;
  const arm = (): void => {
    disarm = clock.setTimer(ms, () => {
      overdue.abort(tooLate(ms));
    });
  };
  begun.addEventListener('abort', arm, { once: true });
  return {
    signal: overdue.signal,
    disarm: () => {
      begun.removeEventListener('abort', arm);
      disarm();
    },
  };
}

function tooLate(ms: number): LeaseRequestError {
  return new LeaseRequestError(
    'LEADER_REQUEST_TIMEOUT',
    `The API server did not answer a request about the LeaseCandidate of this process within ${String(ms)} ms. Is it ` +
      `overloaded, or is the network path to it broken?`,
    { maybeCommitted: true },
  );
}
