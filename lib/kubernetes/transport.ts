import type * as http from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import { SystemClock, type Clock } from '../election/internal.js';
import { Bytes } from './bytes.js';
import { Http1Pool, ReusedSocketError } from './http1-pool.js';
import type { Http2Session, StreamKind } from './http2-session.js';
import { Http2Sessions } from './http2-sessions.js';
import { TOO_LONG, TransportError, aborted, asTransportError } from './transport-error.js';

export { ABORTED, TOO_LONG, TransportError } from './transport-error.js';

/** The TLS options of a connection. */
export interface TlsMaterial {
  readonly ca?: unknown;
  readonly cert?: unknown;
  readonly key?: unknown;
  readonly pfx?: unknown;
  readonly passphrase?: unknown;
  readonly servername?: unknown;
  readonly rejectUnauthorized?: unknown;
}

/** The HTTP methods in use. */
export type Method = 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';

/** One request. */
export interface HttpRequest {
  readonly method: Method;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
  /**
   * Do not rely on connections that may hang. Over HTTP/2: use a session without an overdue request. Over HTTP/1.1: open a
   * connection for this request only.
   */
  readonly newConnection: boolean;
}

/**
 * How to reach a server. The transport keeps its connections as long as it gets the same object, which is replaced
 * only when the server, the certificates or the proxy change.
 */
export interface Route {
  readonly tls: TlsMaterial;
  /** Opens a byte stream to the server's host and port through a proxy (CONNECT). Undefined: there is no proxy. */
  readonly tunnel?:
    | ((target: { readonly host: string; readonly port: number }, signal: AbortSignal) => Promise<Socket>)
    | undefined;
  /** Creates an agent for a proxy that only client-node knows how to use (SOCKS; plain http through a proxy). Such a route speaks HTTP/1.1. */
  readonly proxied: (() => http.Agent) | undefined;
  /** The proxy of `tunnel` or `proxied`. */
  readonly proxy?: URL;
}

/** The whole of a response. */
export interface HttpResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** A response whose body is read as it arrives. */
export interface HttpStream extends AsyncIterable<Buffer> {
  readonly statusCode?: number | undefined;
  readonly headers: IncomingHttpHeaders;
  /** Ends the stream; nobody reads it any more. */
  destroy(): void;
}

/** An object is at most 1.5 MB; the API server accepts no more than this. */
export const LONGEST_RESPONSE_BYTES = 3 * 1024 * 1024;

/**
 * HTTP to the API server, for any number of leases. Over https the server chooses HTTP/2 or HTTP/1.1. It has no time-outs of its
 * own for requests: only the caller's signal ends one.
 */
export class Transport {
  readonly #clock: Clock;
  #present: Connections | undefined;
  /** The connections of earlier routes, with requests or watches that have not ended. */
  #earlier: Connections[] = [];

  constructor(clock: Clock = new SystemClock()) {
    this.#clock = clock;
  }

  /** @throws TransportError when no response came; its code is `ABORTED` when the signal fired. */
  exchange(request: HttpRequest, route: Route): Promise<HttpResponse> {
    return this.#connections(request.url, route).exchange(request);
  }

  /** Sends a request and resolves with the response when its headers have arrived. The caller reads the body. */
  open(request: HttpRequest, route: Route): Promise<HttpStream> {
    return this.#connections(request.url, route).open(request);
  }

  /** Ends every connection. */
  close(): void {
    for (const connections of [...this.#earlier, this.#present]) connections?.close();
    this.#earlier = [];
    this.#present = undefined;
  }

  #connections(url: URL, route: Route): Connections {
    if (this.#present?.lead(url, route) === true) return this.#present;
    // Certificates were renewed. Connections in use are ended after their requests, because nothing would end them later.
    this.#present?.retire();
    const used = [...this.#earlier, this.#present].filter((connections) => connections !== undefined);
    this.#earlier = used.filter(({ isOpen }) => isOpen);
    this.#present = new Connections(url, route, this.#clock);
    return this.#present;
  }
}

/** The connections to one server by one route. */
class Connections {
  readonly #origin: string;
  readonly #route: Route;
  readonly #http1: Http1Pool;
  /** Undefined if the route speaks HTTP/1.1 only. */
  readonly #http2: Http2Sessions | undefined;
  /** The server chose HTTP/1.1 for the last connection. */
  #choseHttp1 = false;

  constructor(url: URL, route: Route, clock: Clock) {
    this.#origin = url.origin;
    this.#route = route;
    this.#http1 = new Http1Pool(url, route);
    if (url.protocol !== 'https:' || route.proxied !== undefined) return;
    this.#http2 = new Http2Sessions({
      url,
      route,
      clock,
      // When the server has closed its connections, the protocol is negotiated again.
      usesHttp1: () => this.#choseHttp1 && this.#http1.isOpen,
      onHttp1: (socket) => {
        this.#choseHttp1 = true;
        this.#http1.adopt(socket);
      },
    });
  }

  /** Whether they lead to that server by that route. */
  lead(url: URL, route: Route): boolean {
    return url.origin === this.#origin && route === this.#route;
  }

  get isOpen(): boolean {
    return this.#http2?.isOpen === true || this.#http1.isOpen;
  }

  exchange(request: HttpRequest): Promise<HttpResponse> {
    return this.#send(request, 'request', {
      http2: (session) => session.exchange(request),
      http1: (response) => read(response, request.signal),
    });
  }

  open(request: HttpRequest): Promise<HttpStream> {
    return this.#send<HttpStream>(request, 'watch', {
      http2: (session) => session.watch(request),
      http1: (response) => Promise.resolve(response),
    });
  }

  retire(): void {
    this.#http2?.retire();
    this.#http1.retire();
  }

  close(): void {
    this.#http2?.close();
    this.#http1.close();
  }

  async #send<T>(request: HttpRequest, kind: StreamKind, use: Protocols<T>): Promise<T> {
    const answer = await this.#http2?.send(request, kind, use.http2);
    if (answer !== undefined) return answer;
    try {
      return await use.http1(await this.#http1.send(request));
    } catch (error) {
      if (!(error instanceof ReusedSocketError)) throw error;
      // Only a read may be sent twice.
      if (request.method !== 'GET') throw error.transportError;
      this.#choseHttp1 = false;
      return this.#send({ ...request, newConnection: true }, kind, use);
    }
  }
}

/** How a request is made over either protocol. */
interface Protocols<T> {
  readonly http2: (session: Http2Session) => Promise<T>;
  readonly http1: (response: http.IncomingMessage) => Promise<T>;
}

async function read(response: http.IncomingMessage, signal: AbortSignal): Promise<HttpResponse> {
  const body = new Bytes(LONGEST_RESPONSE_BYTES);
  try {
    for await (const chunk of response as AsyncIterable<Buffer>)
      if (!body.add(chunk)) throw new TransportError(TOO_LONG, true);
  } catch (error) {
    throw signal.aborted ? aborted(signal, true) : asTransportError(error, true);
  }
  return { status: response.statusCode ?? 0, headers: response.headers, text: body.take() };
}
