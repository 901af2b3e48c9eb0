import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { refuseWebPages, type AccessControl, type RequestUser } from './access.js';
import { falseAnswer, type Faults, type FaultSubject, type TakenFault } from './faults.js';
import type { LeaseApi, LeaseRequest } from './lease-api.js';
import { readJson } from './lease-reader.js';
import { parseListQuery } from './lists.js';
import type { RequestLog } from './request-log.js';
import { answerDiscovery, targetOf, type Target } from './routes.js';
import { errorReply, failed, send, type Reply } from './status.js';
import type { LeaseStore } from './store.js';
import { acceptedForm } from './table.js';
import type { Watches } from './watches.js';

/** The API server's limit. */
const MAX_BODY_BYTES = 3_145_728;

/** How long a read waits for a version that is still to come. */
const FUTURE_VERSION_PATIENCE_MS = 3_000;

/**
 * The answer to a watch over WebSocket, which only the real server has. Java's fabric8 client takes 200 for a proxy that knows no
 * WebSocket, and watches over plain HTTP a second later. After 503 it would do so in half a minute, and not at all after any
 * other refusal.
 */
const NO_WEBSOCKET: Reply = { status: 200, body: '' };

const NO_LEASE = { verb: undefined, namespace: '', name: '' };

/** What a handler works with. */
export interface HandlerParts {
  readonly store: LeaseStore;
  readonly access: AccessControl;
  readonly api: LeaseApi;
  readonly watches: Watches;
  readonly faults: Faults;
  readonly log: RequestLog;
  /** Fires when the server stops: then nothing waits any longer. */
  readonly stopping: AbortSignal;
  /** Hears whose request came over a connection. */
  readonly onUser: (request: IncomingMessage, user: RequestUser) => void;
}

/** One request on its way. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
  readonly target: Target;
  readonly subject: FaultSubject;
  /** There is a token, and nobody has it. */
  readonly isRefused: boolean;
  readonly answered: (status: number) => void;
}

/** Carries a request out when it is called. Undefined when the answer is a watch. */
type CarryOut = () => Promise<Reply | undefined>;

/**
 * Handles a request in the API server's order: authenticate, authorize, decode, carry out, answer. Faults happen before a request
 * is carried out, and after.
 */
export class RequestHandler {
  readonly #parts: HandlerParts;

  constructor(parts: HandlerParts) {
    this.#parts = parts;
  }

  /** Never throws: what goes wrong is an answer, or a connection that is cut. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader('Audit-Id', randomUUID());
    const exchange = this.#open(request, response);
    try {
      refuseWebPages(request);
      const fault = this.#parts.faults.take(exchange.subject);
      const carryOut = await this.#prepare(exchange);
      if (fault === undefined) this.#finish(exchange, await carryOut());
      else await this.#misbehave(exchange, carryOut, fault);
    } catch (error) {
      if (!this.#parts.stopping.aborted) this.#answer(exchange, errorReply(error));
    }
  }

  #open(request: IncomingMessage, response: ServerResponse): Exchange {
    const { method = 'GET', url: path = '/' } = request;
    // Clients may send anything for a path. What is not a path asks for nothing that exists.
    const url = new URL(`http://localhost${path.startsWith('/') ? path : '/'}`);
    const target = targetOf(method, url);
    const { isRefused, ...user } = this.#parts.access.authenticate(request.headers.authorization);
    this.#parts.onUser(request, user);
    const { verb, namespace, name } = target.kind === 'leases' ? target : NO_LEASE;
    const answered = this.#parts.log.arrived({ method, path, verb, namespace, name, user: user.user });
    const subject = { ...user, verb, namespace, name };
    return { request, response, query: url.searchParams, target, subject, isRefused, answered };
  }

  async #misbehave(exchange: Exchange, carryOut: CarryOut, { action, done }: TakenFault): Promise<void> {
    const { request, subject } = exchange;
    const wait = (ms: number): Promise<void> =>
      pause(ms, undefined, { ref: false, signal: this.#parts.stopping });
    if (typeof action === 'string') {
      if (action === 'dropReply' || action === 'hangReply') await carryOut();
      done();
      if (action === 'dropRequest' || action === 'dropReply') request.socket.destroy();
    } else if ('answer' in action) {
      if (action.answer === 410 && subject.verb === 'watch') this.#watch(exchange)?.expire();
      else this.#answer(exchange, falseAnswer(action, subject));
      done();
    } else if ('delayRequestMs' in action) {
      done();
      await wait(action.delayRequestMs);
      this.#finish(exchange, await carryOut());
    } else {
      const reply = await carryOut();
      done();
      await wait(action.delayReplyMs);
      this.#finish(exchange, reply);
    }
  }

  /** Reads the body: a request that has arrived can be carried out, even if the client does not wait for the answer. */
  async #prepare(exchange: Exchange): Promise<CarryOut> {
    const body = await readBody(exchange.request);
    return async () => {
      try {
        return await this.#reply(exchange, body);
      } catch (error) {
        return errorReply(error);
      }
    };
  }

  /** @param body undefined when it is too large, which is an answer only when the body's turn comes. */
  async #reply(exchange: Exchange, body: string | undefined): Promise<Reply | undefined> {
    const { target, query, request, subject, isRefused } = exchange;
    const { method = 'GET', headers } = request;
    if (isRefused) throw failed(401, 'Unauthorized');
    this.#parts.access.authorize(subject.user, target, method);
    if (target.kind === 'leases' && target.verb === undefined)
      throw failed(405, 'the server does not allow this method on the requested resource', {});
    const table = target.kind === 'leases' ? acceptedForm(headers.accept, query) : undefined;
    if (body === undefined) throw failed(413, `Request entity too large: limit is ${String(MAX_BODY_BYTES)}`);
    if (target.kind === 'other') {
      const { path } = target;
      const sent = (): unknown => readJson(body, headers['content-type'], (value) => value);
      const review = this.#parts.access.answerReview(subject.user, method, path, sent);
      return review ?? answerDiscovery(method, path, headers.host ?? '');
    }
    if (target.verb === 'watch') return undefined;
    const whole: LeaseRequest = { ...subject, target, query, headers, body, table };
    await this.#untilAt(this.#parts.api.wantedRevision(whole));
    return this.#parts.api.answer(whole);
  }

  #finish(exchange: Exchange, reply: Reply | undefined): void {
    if (reply === undefined) this.#watch(exchange);
    else this.#answer(exchange, reply);
  }

  #watch(exchange: Exchange): ReturnType<Watches['open']> | undefined {
    const { request, response, query, subject } = exchange;
    if (response.destroyed) return undefined;
    try {
      if (request.headers.upgrade?.toLowerCase() === 'websocket') {
        this.#answer(exchange, NO_WEBSOCKET);
        return undefined;
      }
      const asked = parseListQuery(query, subject.namespace, true);
      const table = acceptedForm(request.headers.accept, query);
      const watch = this.#parts.watches.open(asked, table, response, subject);
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
    if (store.revision < revision) {
      const message = `Too large resource version: ${String(revision)}, current: ${String(store.revision)}`;
      const causes = [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }];
      throw failed(504, `Timeout: ${message}`, { causes, retryAfterSeconds: 1 });
    }
  }
}

/** Undefined when it is larger than what the API server takes. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    // The rest is read all the same: an answer before the end would reset the connection.
    if (bytes <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  return bytes > MAX_BODY_BYTES ? undefined : Buffer.concat(chunks).toString('utf8');
}
