/**
 * Requests about one lease: each has a deadline, none is ever thrown, all end when the elector does; and reads that are shared by
 * those who ask at one time.
 */
import type { Clock, Disposer } from './clock.js';
import { LeaseRequestError, WITHOUT_ANSWER, asRequestError } from './errors.js';
import type { LeaseCall } from './lease.js';
import { bounded, onAbort } from './waiting.js';

/** What came of a request. */
export type Reply<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: LeaseRequestError };

/** Sends requests, and gives up those that take too long. */
export class LeaseRequests {
  readonly #clock: Clock;
  readonly #underWay = new Set<AbortController>();
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
      // The lock is told to stop, but not waited for: it may be the lock that hangs.
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

  /** Gives up everything that is under way. */
  abortAll(): void {
    for (const controller of this.#underWay) controller.abort(stopped());
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

// A read that is shared

type Answer<T> = (reply: Reply<T>) => void;

/** Those who wait for one read, or for a later one. */
interface Batch<T> {
  readonly asking: Answer<T>[];
}

/**
 * Reads for those who want to know what is so now. All who ask at one time share a read, and those who ask while it is
 * under way share the next, which is sent when that was answered, or was not for `resendAfterMs`. So each is answered by a
 * read that was sent after it asked, and few are under way however many ask.
 */
export class SharedRead<T> {
  readonly #clock: Clock;
  readonly #resendAfterMs: number;
  readonly #read: () => Promise<Reply<T>>;
  /** Who asked since the last read was sent. */
  #asking: Answer<T>[] = [];
  /** The reads that are under way, the oldest first. */
  readonly #underWay: Batch<T>[] = [];
  /** Until when the newest of them is waited for, if it is. */
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
      // When everything that asks in this turn has asked.
      queueMicrotask(() => {
        if (this.#forgive === undefined) void this.#send();
      });
    });
  }

  /** Whoever still waits is told so. */
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

  /** One that failed leaves the answer to a later one, if there is one. One that did not is as good for whoever asked before. */
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
