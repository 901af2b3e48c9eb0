import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { refuseWebPages, type AccessControl, type RequestUser, type Subject } from './access.js';
import { falseAnswer, type Faults, type TakenFault } from './faults.js';
import type { LeaseApi } from './lease-api.js';
import { readBody } from './lease-reader.js';
import { parseListQuery } from './lists.js';
import type { RequestLog } from './request-log.js';
import { answerDiscovery, targetOf } from './routes.js';
import { errorReply, failed, type Reply } from './status.js';
import { acceptsTable } from './table.js';
import type { Watch, Watches } from './watches.js';

/** The API server's limit. */
const MAX_BODY_BYTES = 3_145_728;

/**
 * The answer to a watch over WebSocket, which only the real server has. After a 200, Java's fabric8 client assumes a proxy without
 * WebSocket and watches over plain HTTP a second later. After a 503 it waits half a minute; after any other refusal it gives up.
 */
const NO_WEBSOCKET: Reply = { status: 200, body: '' };

/** What a handler works with. */
export interface HandlerParts {
  readonly access: AccessControl;
  readonly api: LeaseApi;
  readonly watches: Watches;
  readonly faults: Faults;
  readonly log: RequestLog;
  /** Fires when the server stops: then nothing waits any longer. */
  readonly stopping: AbortSignal;
  /** Called with the user of each request. */
  readonly onUser: (request: IncomingMessage, user: RequestUser) => void;
}

/** One request on its way. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly method: string;
  readonly url: URL;
  readonly subject: Subject;
  readonly isLeases: boolean;
  /** Whether the request has a token that belongs to no user. */
  readonly isRefused: boolean;
  readonly answered: (status: number) => void;
}

/** A whole answer, or a function that opens the watch that the client asked for. */
type Outcome = Reply | (() => Watch);

/**
 * Handles a request in the API server's order: authenticate, authorize, decode, carry out, answer. Faults happen before a request
 * is carried out, and after.
 */
export class RequestHandler {
  constructor(private readonly parts: HandlerParts) {}

  /** Never throws: what goes wrong is an answer, or a connection that is cut. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader('Audit-Id', randomUUID());
    const exchange = this.#open(request, response);
    try {
      refuseWebPages(request);
      const fault = this.parts.faults.take(exchange.subject);
      // A request that has arrived can be carried out, even if the client does not wait for the answer.
      const body = await bodyOf(request);
      const carryOut = (): Outcome => this.#outcome(exchange, body);
      if (fault === undefined) answer(exchange, carryOut());
      else await this.#misbehave(exchange, carryOut, fault);
    } catch (error) {
      if (!this.parts.stopping.aborted) answer(exchange, errorReply(error));
    }
  }

  #open(request: IncomingMessage, response: ServerResponse): Exchange {
    const { method = 'GET', url: path = '/' } = request;
    // A client may send a target that is not a path. It is answered like the root, 404.
    const url = new URL(`http://localhost${path.startsWith('/') ? path : '/'}`);
    const { isLeases, ...target } = targetOf(method, url);
    const { isRefused, ...user } = this.parts.access.authenticate(request.headers.authorization);
    this.parts.onUser(request, user);
    const answered = this.parts.log.arrived({ method, path, ...target, user: user.user });
    const subject = { ...user, ...target };
    return { request, response, method, url, subject, isLeases, isRefused, answered };
  }

  async #misbehave(exchange: Exchange, carryOut: () => Outcome, { action, done }: TakenFault): Promise<void> {
    const { request, subject } = exchange;
    const wait = (ms: number): Promise<void> =>
      pause(ms, undefined, { ref: false, signal: this.parts.stopping });
    if (typeof action === 'string') {
      if (action === 'dropReply' || action === 'hangReply') carryOut();
      done();
      if (action === 'dropRequest' || action === 'dropReply') request.socket.destroy();
    } else if ('answer' in action) {
      const isEvent = action.answer === 410 && subject.verb === 'watch';
      const watch = answer(exchange, isEvent ? carryOut() : falseAnswer(action, subject));
      watch?.expire();
      done();
    } else if ('delayRequestMs' in action) {
      done();
      await wait(action.delayRequestMs);
      answer(exchange, carryOut());
    } else {
      const outcome = carryOut();
      done();
      await wait(action.delayReplyMs);
      answer(exchange, outcome);
    }
  }

  /** @param body undefined when it is too large. Who may not send it is refused for that first, as by the API server. */
  #outcome(exchange: Exchange, body: string | undefined): Outcome {
    const { method, url, request, response, subject, isLeases, isRefused } = exchange;
    const { headers } = request;
    const { access, api, watches } = this.parts;
    const { pathname, searchParams: query } = url;
    const { user, verb, namespace } = subject;
    try {
      if (isRefused) throw failed(401, 'Unauthorized');
      if (!isLeases) access.authorizeOther(user, method, pathname);
      else if (verb !== undefined) access.authorize({ ...subject, verb });
      else throw failed(405, 'the server does not allow this method on the requested resource', {});
      if (body === undefined)
        throw failed(413, `Request entity too large: limit is ${String(MAX_BODY_BYTES)}`);
      if (!isLeases) {
        const sent = (): unknown => readBody(body, headers['content-type'], (value) => value);
        return access.answerReview(user, method, pathname, sent) ?? answerDiscovery(method, pathname);
      }
      if (verb !== 'watch') return api.answer({ ...subject, query, headers, body });
      if (headers.upgrade?.toLowerCase() === 'websocket') return NO_WEBSOCKET;
      const form = acceptsTable(headers.accept, query);
      const asked = parseListQuery(query, namespace, true);
      return () => watches.open(asked, form, response, subject);
    } catch (error) {
      return errorReply(error);
    }
  }
}

/** Answers, unless the client has gone. Returns the watch if it opens one. */
function answer({ response, answered }: Exchange, outcome: Outcome): Watch | undefined {
  if (response.destroyed || response.writableEnded) return undefined;
  if (typeof outcome === 'function') {
    answered(200);
    return outcome();
  }
  const { status, headers, body } = outcome;
  response.writeHead(status, {
    'Cache-Control': 'no-cache, private',
    'Content-Type': 'application/json',
    'Content-Length': String(Buffer.byteLength(body)),
    ...headers,
  });
  response.end(body);
  answered(status);
  return undefined;
}

/** The body as text; undefined when it is larger than the limit. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    // The rest is read all the same: an answer before the end would reset the connection.
    if (bytes <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  return bytes > MAX_BODY_BYTES ? undefined : Buffer.concat(chunks).toString('utf8');
}
