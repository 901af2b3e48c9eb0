import http, { type Agent, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { bounded } from '../election/index.js';
import { Bytes } from './bytes.js';

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
  /** Open a connection for this request only. */
  readonly newConnection: boolean;
}

/** How to reach a server. The same object until what it was made of has changed: the transport keeps its connections by it. */
export interface Route {
  readonly tls: TlsMaterial;
  /** Opens a byte stream to the server's host and port through a proxy (CONNECT). Undefined: there is no proxy. */
  readonly tunnel?:
    | ((target: { readonly host: string; readonly port: number }, signal: AbortSignal) => Promise<Socket>)
    | undefined;
  /** Creates an agent for a proxy that only client-node knows how to use (SOCKS; plain http through a proxy). Such a route speaks HTTP/1.1. */
  readonly proxied: (() => Agent) | undefined;
}

/** The whole of a response. */
export interface HttpResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** A request that got no response. */
export class TransportError extends Error {
  override readonly name = 'TransportError';

  constructor(
    /** The code of Node's error, e.g. `ECONNREFUSED`. */
    readonly code: string,
    /** The request may have reached the server. */
    readonly sent: boolean,
    options?: ErrorOptions,
  ) {
    super(code, options);
  }
}

/** Two connections for the common case, and one more in case one is slow. */
const POOL_SIZE = 3;
/** An object is at most 1.5 MB; the API server accepts no more than this. */
export const LONGEST_RESPONSE_BYTES = 3 * 1024 * 1024;
const TCP_KEEP_ALIVE_MS = 10_000;

/**
 * HTTP to the API server. It keeps one pool of kept-alive connections for any number of leases. Watches, and requests that must
 * not rely on the pool, each get a connection of their own. It has no time-outs: only the caller's signal ends a request.
 */
export class Transport {
  #pool: { readonly route: Route; readonly secure: boolean; readonly agent: http.Agent } | undefined;

  /** @throws TransportError when no response came; its code is `ABORTED` when the signal fired. */
  async exchange(request: HttpRequest, route: Route): Promise<HttpResponse> {
    const response = await this.open(request, route);
    const body = new Bytes(LONGEST_RESPONSE_BYTES);
    try {
      for await (const chunk of response as AsyncIterable<Buffer>)
        if (!body.add(chunk)) throw new TransportError(TOO_LONG, true);
    } catch (error) {
      if (request.signal.aborted) throw aborted(request.signal, true);
      throw asTransportError(error, true);
    }
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      text: body.take(),
    };
  }

  /** Sends a request and resolves with the response when its headers have arrived. The caller reads the body. */
  async open(request: HttpRequest, route: Route): Promise<IncomingMessage> {
    const agent = request.newConnection
      ? newAgent(request.url, route, false)
      : this.#pooled(request.url, route);
    try {
      return await send(request, agent);
    } catch (error) {
      const idleSocketWasClosed = error instanceof ReusedSocketError;
      // The server closed an idle connection when it was used again. Only a read may be sent twice.
      if (idleSocketWasClosed && request.method === 'GET')
        return this.open({ ...request, newConnection: true }, route);
      throw idleSocketWasClosed ? error.transportError : error;
    }
  }

  /** Ends every connection. */
  close(): void {
    this.#pool?.agent.destroy();
    this.#pool = undefined;
  }

  #pooled(url: URL, route: Route): http.Agent {
    const secure = url.protocol === 'https:';
    if (this.#pool?.secure === secure && this.#pool.route === route) return this.#pool.agent;
    // Certificates were renewed, so idle connections are closed. Connections in use are closed after their requests, because
    // nothing would close them later.
    if (this.#pool !== undefined) Object.assign(this.#pool.agent, { keepAlive: false });
    for (const idle of Object.values(this.#pool?.agent.freeSockets ?? {}).flat()) idle?.destroy();
    this.#pool = { route, secure, agent: newAgent(url, route, true) };
    return this.#pool.agent;
  }
}

class ReusedSocketError extends Error {
  constructor(readonly transportError: TransportError) {
    super(transportError.code);
  }
}

function newAgent(url: URL, route: Route, pooled: boolean): http.Agent {
  const options = {
    keepAlive: pooled,
    keepAliveMsecs: TCP_KEEP_ALIVE_MS,
    maxSockets: pooled ? POOL_SIZE : 1,
  };
  if (route.proxied !== undefined) {
    const agent = route.proxied();
    // client-node makes these without keep-alive; Node reads the setting for each request.
    Object.assign(agent, options);
    Object.assign((agent as http.Agent & { options: object }).options, options);
    return agent;
  }
  if (url.protocol !== 'https:') return new http.Agent(options);
  const secured: https.AgentOptions = { ...options, ...(route.tls as https.AgentOptions) };
  return route.tunnel === undefined ? new https.Agent(secured) : new TunnelledAgent(route.tunnel, secured);
}

/** An agent for TLS through a tunnel. */
class TunnelledAgent extends https.Agent {
  readonly #tunnel: NonNullable<Route['tunnel']>;

  constructor(tunnel: NonNullable<Route['tunnel']>, options: https.AgentOptions) {
    super(options);
    this.#tunnel = tunnel;
  }

  override createConnection(
    options: https.RequestOptions,
    done?: (error: Error | null, socket: Duplex) => void,
  ): undefined {
    const target = { host: options.host ?? '', port: Number(options.port) };
    this.#tunnel(target, new AbortController().signal).then(
      (socket) =>
        done?.(null, super.createConnection({ ...options, socket } as https.RequestOptions) as Duplex),
      (error: unknown) => done?.(error as Error, undefined as never),
    );
  }
}

async function send(request: HttpRequest, agent: http.Agent): Promise<http.IncomingMessage> {
  const { url, method, headers, body, signal } = request;
  let sent = false;
  try {
    // Node itself ends a request at its signal only if it has a socket: not while it waits in the pool's queue or for a proxy.
    return await bounded(
      { signal },
      () =>
        new Promise((resolve, reject) => {
          // The caller's signal, which ends the response, too.
          const outgoing = begin(() =>
            (url.protocol === 'https:' ? https : http).request(
              url,
              { method, headers, agent, signal },
              resolve,
            ),
          );
          outgoing.on('socket', (socket) => {
            socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS);
          });
          outgoing.on('finish', () => {
            sent = true;
          });
          outgoing.on('error', (error) => {
            const failure = asTransportError(error, sent);
            reject(
              outgoing.reusedSocket && failure.code === 'ECONNRESET'
                ? new ReusedSocketError(failure)
                : failure,
            );
          });
          outgoing.end(body);
        }),
    );
  } catch (error) {
    throw signal.aborted ? aborted(signal, sent) : error;
  }
}

/** An error that is thrown when a request is created, for example for an invalid key: nothing was sent. */
function begin(make: () => http.ClientRequest): http.ClientRequest {
  try {
    return make();
  } catch (error) {
    throw asTransportError(error, false);
  }
}

/** The code of the {@link TransportError} when the caller's signal fired; its `cause` is the signal's reason. */
export const ABORTED = 'ABORTED';

/** The code of the {@link TransportError} for a response or an event that is longer than any object. */
export const TOO_LONG = 'RESPONSE_TOO_LONG';

function aborted(signal: AbortSignal, sent: boolean): TransportError {
  return new TransportError(ABORTED, sent, { cause: signal.reason });
}

function asTransportError(error: unknown, sent: boolean): TransportError {
  if (error instanceof TransportError) return error;
  const code = (error as NodeJS.ErrnoException).code ?? 'UNKNOWN';
  return new TransportError(code, sent, { cause: withoutExtras(error) });
}

/** The fields of Node's own errors. */
const nodeFields = ['code', 'errno', 'syscall', 'address', 'port', 'hostname', 'library', 'reason'] as const;

/** Keeps only these fields: errors of other libraries have more, for example a SOCKS client's options with the proxy's password. */
function withoutExtras(error: unknown): unknown {
  if (!(error instanceof Error)) return undefined;
  const { message, stack, errors } = error as AggregateError;
  const kept = nodeFields.filter((field) => field in error).map((field) => [field, error[field as never]]);
  // One error for each address of a name.
  const each = Array.isArray(errors) ? { errors: errors.map(withoutExtras) } : {};
  return Object.assign(new Error(message), { stack }, Object.fromEntries(kept), each);
}
