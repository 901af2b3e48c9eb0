/**
 * Requests about one lease. Each has a deadline, none rejects, and all end when the elector does. Reads for callers of
 * `confirm()` are shared.
 */
import type { Clock, Disposer } from './clock.js';
import { LeaseRequestError, WITHOUT_ANSWER, asRequestError } from './errors.js';
import type { LeaseCall } from './lease.js';
import { bounded, onAbort } from './waiting.js';

/** The outcome of a request. */
export type Reply<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: LeaseRequestError };

/** Sends requests, and gives up those that take too long. */
export class LeaseRequests {
  readonly #clock: Clock;
  readonly #underWay = new Set<AbortController>();
  /** The last request got no answer, so the next one must use a new connection. */
  #lastFailed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Sends a request. It fails after `patienceMs`, when `signal` fires, or when `abortAll` is called. */
  async send<T>(
    patienceMs: number,
    request: (call: LeaseCall) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<Reply<T>> {
    const controller = new AbortController();
    const giveUp = (): void => {
      controller.abort(givenUp(signal?.reason));
    };
    signal?.addEventListener('abort', giveUp);
    if (signal?.aborted === true) giveUp();
    const newConnection = this.#underWay.size > 0 || this.#lastFailed;
    this.#underWay.add(controller);
    const patience = new Patience(patienceMs, this.#clock, (error) => {
      controller.abort(error);
    });
    const { preparing } = patience;
    onAbort(controller.signal, () => {
      patience.end();
    });
    try {
      // The lock gets the signal, but is not waited for: it may be the lock that hangs.
      const value = await bounded({ signal: controller.signal }, () =>
        request({ signal: controller.signal, newConnection, preparing }),
      );
      this.#lastFailed = false;
      return { ok: true, value };
    } catch (thrown) {
      const error = asRequestError(thrown);
      this.#lastFailed = WITHOUT_ANSWER.includes(error.code);
      return { ok: false, error };
    } finally {
      patience.end();
      signal?.removeEventListener('abort', giveUp);
      this.#underWay.delete(controller);
    }
  }

  /** Gives up all requests in flight. */
  abortAll(): void {
    for (const controller of this.#underWay) controller.abort(stopped());
  }
}

/**
 * The time-out of a request. Preparations (reading credentials, loading a module) have a time-out of their own: the server
 * gets the whole time once the request is sent, and an error before that names the preparation.
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

  /** The request has ended. */
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

/** The failure of a request that was in flight when the elector stopped. */
export function stopped(): LeaseRequestError {
  return new LeaseRequestError('LEADER_STOPPED', 'The elector stopped while a request was in flight.', {
    maybeCommitted: true,
  });
}

function tooLate(patienceMs: number): LeaseRequestError {
  return new LeaseRequestError(
    'LEADER_REQUEST_TIMEOUT',
    `No answer within ${String(Math.round(patienceMs))} ms. Is the server overloaded, or the network path to it broken?`,
    { maybeCommitted: true },
  );
}

function notSent(patienceMs: number, waitsFor: string): LeaseRequestError {
  return new LeaseRequestError(
    'LEADER_REQUEST_TIMEOUT',
    `The request was not sent within ${String(Math.round(patienceMs))} ms, because it is still waiting for ${waitsFor}.`,
    { maybeCommitted: false },
  );
}

function givenUp(cause: unknown): LeaseRequestError {
  return new LeaseRequestError(
    'LEADER_REQUEST_TIMEOUT',
    'The caller aborted the request before it was answered; see its cause.',
    { maybeCommitted: true, cause },
  );
}

// Shared reads

type Answer<T> = (reply: Reply<T>) => void;

/** The callers that wait for one read or a later one. */
interface Batch<T> {
  readonly asking: Answer<T>[];
}

/**
 * Shares reads between callers. Calls in one turn of the event loop share a read. Calls while a read is in flight share the
 * next one, which is sent when that was answered, or after `resendAfterMs`. So each call is answered by a read that was sent
 * after it, and few reads are in flight however many callers there are.
 */
export class SharedRead<T> {
  readonly #clock: Clock;
  readonly #resendAfterMs: number;
  readonly #read: () => Promise<Reply<T>>;
  /** The callers since the last read was sent. */
  #asking: Answer<T>[] = [];
  /** The reads in flight, the oldest first. */
  readonly #underWay: Batch<T>[] = [];
  /** Cancels the timer that sends the next read if the newest is not answered; undefined if no read holds up the next. */
  #forgive: Disposer | undefined;

  constructor(clock: Clock, resendAfterMs: number, read: () => Promise<Reply<T>>) {
    this.#clock = clock;
    this.#resendAfterMs = resendAfterMs;
    this.#read = read;
  }

  /** The reply to a read that is sent after this call. */
  ask(): Promise<Reply<T>> {
    return new Promise((resolve) => {
      this.#asking.push(resolve);
      if (this.#asking.length > 1) return;
      // After all calls of this turn.
      queueMicrotask(() => {
        if (this.#forgive === undefined) void this.#send();
      });
    });
  }

  /** Answers the callers whose read was not sent yet with `error`. */
  abandon(error: LeaseRequestError): void {
    this.#forgive?.();
    for (const answer of this.#asking.splice(0)) answer({ ok: false, error });
  }

  async #send(): Promise<void> {
    if (this.#asking.length === 0) return;
    const batch: Batch<T> = { asking: this.#asking.splice(0) };
    this.#underWay.push(batch);
    const next = (): void => {
      this.#forgive?.();
      this.#forgive = undefined;
      void this.#send();
    };
    const forgive = this.#clock.setTimer(this.#resendAfterMs, next);
    this.#forgive = forgive;
    const reply = await this.#read();
    this.#answer(batch, reply);
    if (this.#forgive === forgive) next();
  }

  /** A success also answers the callers of earlier reads. A failed read passes its callers to the next read in flight, if any. */
  #answer(batch: Batch<T>, reply: Reply<T>): void {
    const index = this.#underWay.indexOf(batch);
    if (index < 0) return;
    const later = this.#underWay[index + 1];
    if (!reply.ok && later !== undefined) {
      later.asking.push(...batch.asking);
      this.#underWay.splice(index, 1);
      return;
    }
    const answered = reply.ok ? this.#underWay.splice(0, index + 1) : this.#underWay.splice(index, 1);
    for (const { asking } of answered) for (const answer of asking) answer(reply);
  }
}
