/** Requests about one lease: each has a deadline, none is ever thrown, all end when the elector does. */
import type { Clock, Disposer } from './clock.js';
import { LeaseRequestError, isLeaderError, type LeaderErrorCode } from './errors.js';
import type { LeaseCall } from './lease-lock.js';

/** What came of a request. */
export type Reply<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: LeaseRequestError };

/** The shortest patience with a request that still allows a connection to be made (client-go's bound, too). */
const SHORTEST_PATIENCE_MS = 1_000;

const withoutAnswer: readonly LeaderErrorCode[] = ['LEADER_UNREACHABLE', 'LEADER_REQUEST_TIMEOUT'];

/** How long a request may take of what is left: half, so that one that hangs leaves room for another. */
export function patienceFor(leftMs: number): number {
  return Math.max(leftMs / 2, SHORTEST_PATIENCE_MS);
}

/** See the head of the file. */
export class LeaseRequests {
  readonly #clock: Clock;
  readonly #inFlight = new Set<AbortController>();
  /** The connection last used gave no answer, so the next request must not trust another old one. */
  #lastFailed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Makes a request that is given up after `patienceMs`, when `signal` fires, or when `abortAll` is called. */
  async send<T>(
    patienceMs: number,
    request: (call: LeaseCall) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<Reply<T>> {
    const controller = new AbortController();
    const giveUp = (): void => {
      controller.abort(givenUp(signal?.reason));
    };
    if (signal?.aborted === true) giveUp();
    signal?.addEventListener('abort', giveUp);
    const newConnection = this.#inFlight.size > 0 || this.#lastFailed;
    this.#inFlight.add(controller);
    // The lock is told to stop, but not waited for: it may be the lock that hangs.
    const gaveUp = new Promise<never>((_, reject) => {
      const refuse = (): void => {
        reject(controller.signal.reason as Error);
      };
      if (controller.signal.aborted) refuse();
      else controller.signal.addEventListener('abort', refuse, { once: true });
    });
    const patience = new Patience(patienceMs, this.#clock, (error) => {
      controller.abort(error);
    });
    const { preparing } = patience;
    try {
      const call = { signal: controller.signal, newConnection, preparing };
      const value = await Promise.race([request(call), gaveUp]);
      this.#lastFailed = false;
      return { ok: true, value };
    } catch (thrown) {
      const error = asRequestError(thrown);
      this.#lastFailed = withoutAnswer.includes(error.code);
      return { ok: false, error };
    } finally {
      patience.end();
      signal?.removeEventListener('abort', giveUp);
      this.#inFlight.delete(controller);
    }
  }

  /** Gives up everything that is under way. */
  abortAll(): void {
    for (const controller of this.#inFlight) {
      controller.abort(stopped());
    }
  }
}

/**
 * How long a request is waited for. What it waits for before it can be sent (credentials, a module that is loaded) is not the
 * server's time: the answer has the whole patience from then on, and what took too long before is what is blamed.
 */
class Patience {
  readonly #ms: number;
  readonly #clock: Clock;
  readonly #giveUp: (error: LeaseRequestError) => void;
  #waitsFor: string | undefined;
  /** Undefined once it has ended. */
  #disarm: Disposer | undefined;

  constructor(ms: number, clock: Clock, giveUp: (error: LeaseRequestError) => void) {
    this.#ms = ms;
    this.#clock = clock;
    this.#giveUp = giveUp;
    this.#arm();
  }

  /** See `LeaseCall`. */
  readonly preparing = (what: string | undefined): void => {
    if (this.#disarm === undefined) return;
    this.#waitsFor = what;
    if (what !== undefined) return;
    this.#disarm();
    this.#arm();
  };

  /** Nothing is waited for any more. */
  end(): void {
    this.#disarm?.();
    this.#disarm = undefined;
  }

  #arm(): void {
    this.#disarm = this.#clock.setTimer(this.#ms, () => {
      this.#giveUp(this.#waitsFor === undefined ? tooLate(this.#ms) : notSent(this.#ms, this.#waitsFor));
    });
  }
}

/** Why nobody waits for a reply any more. */
export function stopped(): LeaseRequestError {
  return new LeaseRequestError('LEADER_STOPPED', 'The elector stopped while a request was under way.', {
    maybeCommitted: true,
  });
}

function tooLate(patienceMs: number): LeaseRequestError {
  return new LeaseRequestError(
    'LEADER_REQUEST_TIMEOUT',
    `No answer within ${String(Math.round(patienceMs))} ms. Is the API server overloaded, or the network path to it broken?`,
    { maybeCommitted: true },
  );
}

function notSent(patienceMs: number, waitsFor: string): LeaseRequestError {
  return new LeaseRequestError(
    'LEADER_REQUEST_TIMEOUT',
    `The request could not be sent within ${String(Math.round(patienceMs))} ms: it still waits for ${waitsFor}. The API server ` +
      `was not asked yet.`,
    { maybeCommitted: false },
  );
}

function givenUp(cause: unknown): LeaseRequestError {
  return new LeaseRequestError(
    'LEADER_REQUEST_TIMEOUT',
    'The caller gave the request up before it was answered; its cause says why.',
    { maybeCommitted: true, cause },
  );
}

/** Failures that may be over by the next attempt, when nobody said to wait. */
const passing: readonly LeaderErrorCode[] = [...withoutAnswer, 'LEADER_SERVER_ERROR', 'LEADER_THROTTLED'];

/** Whether the same request may succeed if it is made again at once. */
export function isPassing({ code, retryAfterMs }: LeaseRequestError): boolean {
  return retryAfterMs === undefined && passing.includes(code);
}

/** Whatever a lock throws, as the one thing it may throw. */
export function asRequestError(error: unknown): LeaseRequestError {
  if (isLeaderError(error) && 'maybeCommitted' in error) return error as LeaseRequestError;
  return new LeaseRequestError(
    'LEADER_UNREACHABLE',
    'The request failed in an unforeseen way; see its cause.',
    {
      maybeCommitted: true,
      cause: error,
    },
  );
}
