/** Requests beside the election: about what is good to have, and never worth waiting long for. */
import { SystemClock, type Clock, type LeaseRequestError } from '../election/index.js';
import { addressOf, jsonIn, reading } from './answers.js';
import { refuseAnother } from './api-object.js';
import type { ClusterRequest, KubernetesConnection } from './connection.js';
import { failure, refusal, type RequestContext } from './request-errors.js';

/** One request. */
export interface SideRequest {
  readonly method: ClusterRequest['method'];
  readonly path: string;
  readonly body: unknown;
  readonly context: RequestContext;
}

/** See the head of the file. */
export class SideRequests {
  readonly #connection: KubernetesConnection;
  readonly #patienceMs: number;
  readonly #clock: Clock;
  readonly #stopped = new AbortController();
  /** The connection last used gave no answer. */
  #lastFailed = false;

  /** @param patienceMs how long an answer is waited for, in milliseconds. */
  constructor(connection: KubernetesConnection, patienceMs: number, clock: Clock = new SystemClock()) {
    this.#connection = connection;
    this.#patienceMs = patienceMs;
    this.#clock = clock;
  }

  /**
   * @returns the object in the answer, if it is one of the 200s.
   * @throws LeaseRequestError, also when the answer is about another object.
   */
  async send({ context, ...request }: SideRequest): Promise<unknown> {
    const response = await this.#answer(request, context);
    if (response.status < 200 || response.status > 299) throw refusal(response, context);
    const object = jsonIn(response, context);
    reading(context, () => {
      refuseAnother(object, addressOf(context));
    });
    return object;
  }

  /** Gives up what is under way, and whatever is asked from now on. */
  abortAll(): void {
    this.#stopped.abort();
  }

  async #answer(
    request: Omit<SideRequest, 'context'>,
    context: RequestContext,
  ): ReturnType<KubernetesConnection['request']> {
    const tooLate = new AbortController();
    const disarm = this.#clock.setTimer(this.#patienceMs, () => {
      tooLate.abort();
    });
    const signal = AbortSignal.any([tooLate.signal, this.#stopped.signal]);
    try {
      const newConnection = this.#lastFailed;
      const response = await this.#connection.request({ ...request, signal, newConnection });
      this.#lastFailed = false;
      return response;
    } catch (error) {
      this.#lastFailed = true;
      throw failure(error, context) satisfies LeaseRequestError;
    } finally {
      disarm();
    }
  }
}
