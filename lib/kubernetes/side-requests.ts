import { SystemClock, boundSignal, type Clock, type LeaseRequestError } from '../election/internal.js';
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

/** Sends requests that the election does not depend on, and waits only a short time for each answer. */
export class SideRequests {
  readonly #connection: KubernetesConnection;
  readonly #patienceMs: number;
  readonly #clock: Clock;
  readonly #stopped = new AbortController();
  /** The last request got no answer, so the next one uses a new connection. */
  #lastFailed = false;

  /** @param patienceMs how many milliseconds to wait for an answer. */
  constructor(connection: KubernetesConnection, patienceMs: number, clock: Clock = new SystemClock()) {
    this.#connection = connection;
    this.#patienceMs = patienceMs;
    this.#clock = clock;
  }

  /**
   * @returns the object in the answer, if its status is 2xx.
   * @throws LeaseRequestError, also if the answer is about a different object.
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

  /** Aborts all requests, and all that are sent later. */
  abortAll(): void {
    this.#stopped.abort();
  }

  async #answer(
    request: Omit<SideRequest, 'context'>,
    context: RequestContext,
  ): ReturnType<KubernetesConnection['request']> {
    const [clock, ms] = [this.#clock, this.#patienceMs];
    const { signal, dispose } = boundSignal({
      signal: this.#stopped.signal,
      deadline: { clock, ms, error: () => new Error(`There was no answer within ${String(ms)} ms.`) },
    });
    try {
      const newConnection = this.#lastFailed;
      const response = await this.#connection.request({ ...request, signal, newConnection });
      this.#lastFailed = false;
      return response;
    } catch (error) {
      this.#lastFailed = true;
      throw failure(error, context) satisfies LeaseRequestError;
    } finally {
      dispose();
    }
  }
}
