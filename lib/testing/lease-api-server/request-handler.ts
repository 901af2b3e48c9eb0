import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { acceptedForm } from './accepted-types.js';
import type { AccessControl } from './access.js';
import { targetOf, type RequestUser, type Target } from './api-request.js';
import { faultReply } from './fault-answer.js';
import type { FaultAnswer, Faults, FaultSubject, TakenFault } from './faults.js';
import type { LeaseApi, LeaseRequest } from './lease-api.js';
import type { LeaseStore } from './lease-store.js';
import { parseListOptions } from './list-options.js';
import type { OpenWatches } from './open-watches.js';
import { answerDiscovery } from './discovery.js';
import { ACCESS_REVIEWS, SELF_REVIEWS } from './review-paths.js';
import { answerSelfReview } from './self-reviews.js';
import { errorReply, send, type Reply } from './reply.js';
import { readBody } from './request-body.js';
import type { RequestLog } from './request-log.js';
import { refuseWebPages } from './web-pages.js';
import { methodNotAllowed, resourceVersionTooLarge, unauthorized } from './status.js';

/** How long a read waits for a version that is not there yet. */
const FUTURE_VERSION_PATIENCE_MS = 3_000;

/**
 * The answer to a watch over WebSocket, which the real server has. Java's fabric8 client takes 200 for a proxy that
 * knows no WebSocket, and watches over plain HTTP a second later. After 503 it would do so in half a minute, and not
 * at all after any other refusal.
 */
const NO_WEBSOCKET: Reply = { status: 200, body: '' };

/** What a handler works with. */
export interface HandlerParts {
  readonly store: LeaseStore;
  readonly access: AccessControl;
  readonly api: LeaseApi;
  readonly watches: OpenWatches;
  readonly faults: Faults;
  readonly log: RequestLog;
  /** Fires when the server stops: nothing waits any longer. */
  readonly stopping: AbortSignal;
}

/** One request on its way. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  readonly target: Target;
  readonly subject: FaultSubject;
  /** There is a token, and it is nobody's. */
  readonly isRefused: boolean;
  readonly answered: (status: number) => void;
}

/** What is known of the user behind a connection. */
export type OnUser = (request: IncomingMessage, user: RequestUser) => void;

/**
 * Handles a request in the API server's order: authenticate, authorize, decode, carry out, answer. Faults occur before a
 * request is carried out and after.
 */
export class RequestHandler {
  readonly #parts: HandlerParts;
  readonly #onUser: OnUser;

  constructor(parts: HandlerParts, onUser: OnUser) {
    this.#parts = parts;
    this.#onUser = onUser;
  }

  /** Never throws: whatever goes wrong is an answer, or a connection that is no more. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader('Audit-Id', randomUUID());
    const exchange = this.#open(request, response);
    try {
      refuseWebPages(request);
      const fault = this.#parts.faults.take(exchange.subject);
      if (fault === undefined) await this.#carryOut(exchange);
      else await this.#carryOutFaulty(exchange, fault);
    } catch (error) {
      if (!this.#parts.stopping.aborted) this.#answer(exchange, errorReply(error));
    }
  }

  #open(request: IncomingMessage, response: ServerResponse): Exchange {
    const { method = 'GET', url: path = '/' } = request;
    // Clients may send anything for a path; what is none asks for nothing that exists.
    const url = new URL(`http://localhost${path.startsWith('/') ? path : '/'}`);
    const target = targetOf(method, url);
    const { isRefused, ...user } = this.#parts.access.authenticate(request.headers.authorization);
    this.#onUser(request, user);
    const { verb, namespace, name } =
      target.kind === 'leases' ? target : { verb: undefined, namespace: '', name: '' };
    const subject = { ...user, verb, namespace, name };
    const answered = this.#parts.log.arrived({ method, path, verb, namespace, name, user: user.user });
    return { request, response, url, target, subject, isRefused, answered };
  }

  async #carryOutFaulty(exchange: Exchange, fault: TakenFault): Promise<void> {
    const { action } = fault;
    if (typeof action === 'object') {
      if ('answer' in action) {
        await readBody(exchange.request);
        this.#answerFalsely(exchange, action);
        fault.done();
      } else if ('delayRequestMs' in action) {
        // Read first: what has arrived is carried out, even if its sender does not wait for the answer.
        const reply = await this.#prepare(exchange);
        fault.done();
        await pause(action.delayRequestMs, undefined, { ref: false, signal: this.#parts.stopping });
        this.#finish(exchange, await reply());
      } else {
        const answer = await (await this.#prepare(exchange))();
        fault.done();
        await pause(action.delayReplyMs, undefined, { ref: false, signal: this.#parts.stopping });
        this.#finish(exchange, answer);
      }
      return;
    }
    const isCarriedOut = action === 'dropReply' || action === 'hangReply';
    const reply = await this.#prepare(exchange);
    if (isCarriedOut) await reply();
    fault.done();
    if (action === 'dropRequest' || action === 'dropReply') exchange.request.socket.destroy();
  }

  #answerFalsely(exchange: Exchange, fault: FaultAnswer): void {
    if (fault.answer === 410 && exchange.subject.verb === 'watch') {
      this.#watch(exchange)?.expire();
      return;
    }
    this.#answer(exchange, faultReply(fault, exchange.subject));
  }

  async #carryOut(exchange: Exchange): Promise<void> {
    const reply = await this.#prepare(exchange);
    this.#finish(exchange, await reply());
  }

  /** Reads the request; the function returned carries it out. Undefined: the answer is a watch. */
  async #prepare(exchange: Exchange): Promise<() => Promise<Reply | undefined>> {
    const body = await readBodyOrError(exchange.request);
    return async () => {
      try {
        return await this.#reply(exchange, body);
      } catch (error) {
        return errorReply(error);
      }
    };
  }

  async #reply(exchange: Exchange, body: string | Error): Promise<Reply | undefined> {
    const { target, url, request, subject, isRefused } = exchange;
    if (isRefused) throw unauthorized();
    this.#parts.access.authorize(subject.user, target, request.method ?? 'GET');
    if (target.kind === 'other') {
      if (target.path !== ACCESS_REVIEWS && target.path !== SELF_REVIEWS) {
        return answerDiscovery(target.method, target.path, request.headers.host ?? '');
      }
      if (typeof body !== 'string') throw body;
      const review = { ...target, user: subject.user, contentType: request.headers['content-type'], body };
      return answerSelfReview(review, this.#parts.access);
    }
    if (target.verb === undefined) throw methodNotAllowed();
    const table = acceptedForm(request.headers.accept, url.searchParams);
    if (typeof body !== 'string') throw body;
    if (target.verb === 'watch') return undefined;
    const whole: LeaseRequest = {
      ...subject,
      target,
      query: url.searchParams,
      contentType: request.headers['content-type'],
      userAgent: request.headers['user-agent'],
      body,
      table,
    };
    await this.#untilAt(this.#parts.api.wantedRevision(whole));
    return this.#parts.api.answer(whole);
  }

  #finish(exchange: Exchange, reply: Reply | undefined): void {
    if (reply !== undefined) this.#answer(exchange, reply);
    else this.#watch(exchange);
  }

  #watch(exchange: Exchange): ReturnType<OpenWatches['open']> | undefined {
    const { request, response, url, subject } = exchange;
    if (response.destroyed) return undefined;
    try {
      if (request.headers.upgrade?.toLowerCase() === 'websocket') {
        this.#answer(exchange, NO_WEBSOCKET);
        return undefined;
      }
      const options = parseListOptions(url.searchParams, subject.namespace, true);
      const table = acceptedForm(request.headers.accept, url.searchParams);
      const watch = this.#parts.watches.open(options, table, response, subject);
      exchange.answered(200);
      return watch;
    } catch (error) {
      this.#answer(exchange, errorReply(error));
      return undefined;
    }
  }

  #answer({ response, answered }: Exchange, reply: Reply): void {
    if (response.destroyed) return;
    send(response, reply);
    answered(reply.status);
  }

  /** Waits for the version, for as long as the API server does. */
  async #untilAt(revision: number): Promise<void> {
    const { store, stopping } = this.#parts;
    if (revision <= store.revision) return;
    const reached = new AbortController();
    const unsubscribe = store.subscribe(() => {
      if (store.revision >= revision) reached.abort();
    });
    const signal = AbortSignal.any([stopping, reached.signal]);
    await pause(FUTURE_VERSION_PATIENCE_MS, undefined, { ref: false, signal }).catch(() => undefined);
    unsubscribe();
    if (store.revision < revision) throw resourceVersionTooLarge(revision, store.revision);
  }
}

/** An error about the body is told only when it is the body's turn. */
async function readBodyOrError(request: IncomingMessage): Promise<string | Error> {
  try {
    return await readBody(request);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
