import http, { type ClientRequest, type IncomingMessage } from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { bounded } from '../election/internal.js';
import { handOver } from './proxy-tunnel.js';
import { TCP_KEEP_ALIVE_MS, checkServerIdentity } from './tls-connection.js';
import { CONNECTION_LOST, TransportError, aborted, asTransportError } from './transport-error.js';
import type { HttpRequest, Route } from './transport.js';

/** Two connections for the common case, and one more in case one is slow. */
const POOL_SIZE = 3;

/**
 * HTTP/1.1 to one server: a pool of kept-alive connections for requests. Watches, and requests that must not rely on the pool,
 * each get a connection of their own.
 */
export class Http1Pool {
  readonly #route: Route;
  readonly #secure: boolean;
  #pool: http.Agent | undefined;
  /** The agents of single requests. */
  readonly #others = new Set<http.Agent>();
  /** Connections on which the server has chosen HTTP/1.1, for the next requests. */
  readonly #negotiated: TLSSocket[] = [];

  constructor(url: URL, route: Route) {
    this.#route = route;
    this.#secure = url.protocol === 'https:';
  }

  /** Whether a connection of the pool is open or being opened. */
  get isOpen(): boolean {
    return [this.#pool?.sockets, this.#pool?.freeSockets, this.#pool?.requests].some(
      (byHost) => byHost !== undefined && Object.keys(byHost).length > 0,
    );
  }

  /** Takes over an open connection, for one of the next requests. */
  adopt(socket: TLSSocket): void {
    this.#negotiated.push(socket);
  }

  /**
   * Resolves with the response when its headers have arrived.
   *
   * @throws TransportError; ReusedSocketError if the server closed an idle connection when it was used again.
   */
  send(request: HttpRequest): Promise<IncomingMessage> {
    this.#pool ??= this.#newAgent(true);
    return this.#send(request, request.newConnection ? this.#newAgent(false) : this.#pool);
  }

  /** Ends idle connections now, and those in use after their requests. */
  retire(): void {
    this.#dropNegotiated();
    if (this.#pool === undefined) return;
    Object.assign(this.#pool, { keepAlive: false });
    for (const idle of Object.values(this.#pool.freeSockets).flat()) idle?.destroy();
  }

  /** Ends every connection. */
  close(): void {
    this.#dropNegotiated();
    this.#pool?.destroy();
    this.#pool = undefined;
    for (const agent of this.#others) agent.destroy();
    this.#others.clear();
  }

  #dropNegotiated(): void {
    for (const socket of this.#negotiated.splice(0)) socket.destroy();
  }

  #newAgent(pooled: boolean): http.Agent {
    const { tls, proxied } = this.#route;
    const options = {
      keepAlive: pooled,
      keepAliveMsecs: TCP_KEEP_ALIVE_MS,
      maxSockets: pooled ? POOL_SIZE : 1,
    };
    if (proxied !== undefined) {
      const agent = proxied();
      // client-node makes these without keep-alive; Node reads the setting for each request.
      Object.assign(agent, options);
      Object.assign((agent as http.Agent & { options: object }).options, options);
      return agent;
    }
    if (!this.#secure) return new http.Agent(options);
    const secured = { ...options, checkServerIdentity, ...(tls as https.AgentOptions) };
    return new RouteAgent(secured, this.#route, this.#negotiated);
  }

  async #send(request: HttpRequest, agent: http.Agent): Promise<IncomingMessage> {
    const { url, method, headers, body, signal } = request;
    let sent = false;
    try {
      // Node aborts a request only once it has a socket, not while it waits in the pool's queue or for a proxy.
      return await bounded(
        { signal },
        () =>
          new Promise((resolve, reject) => {
            // The caller's signal, so that it also ends the response.
            const outgoing = begin(() =>
              (this.#secure ? https : http).request(url, { method, headers, agent, signal }, resolve),
            );
            outgoing.on('socket', (socket) => {
              socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS);
              // A signal that fires just as the response ends destroys a socket to which Node no longer listens.
              if (!socket.listeners('error').includes(ignore)) socket.on('error', ignore);
            });
            outgoing.on('finish', () => {
              sent = true;
            });
            if (agent !== this.#pool) this.#others.add(agent);
            outgoing.on('close', () => {
              this.#others.delete(agent);
              // Without an error: the server switched to another protocol (101), which Node answers by closing the connection.
              reject(new TransportError(CONNECTION_LOST, sent));
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
}

/** Uses connections that are already open, and opens others through the route's tunnel, if there is one. */
class RouteAgent extends https.Agent {
  readonly #route: Route;
  readonly #negotiated: TLSSocket[];

  constructor(options: https.AgentOptions, route: Route, negotiated: TLSSocket[]) {
    super(options);
    this.#route = route;
    this.#negotiated = negotiated;
  }

  override createConnection(
    options: https.RequestOptions,
    callback: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    for (;;) {
      const ready = this.#negotiated.pop();
      if (ready?.destroyed === false) return ready;
      if (ready === undefined) break;
    }
    const { tunnel } = this.#route;
    if (tunnel === undefined) return super.createConnection(options, callback);
    const [host, port] = [options.host ?? '', Number(options.port ?? 443)];
    // Node passes the options of the request on, its signal among them.
    const opened = tunnel({ host, port }, options.signal as AbortSignal);
    handOver(
      opened.then((socket) => connect({ ...(options as ConnectionOptions), socket })),
      callback,
    );
    return undefined;
  }
}

/** The errors of a socket reach the request or the response. */
function ignore(): void {
  // Nothing is left to do.
}

export class ReusedSocketError extends Error {
  constructor(readonly transportError: TransportError) {
    super(transportError.code);
  }
}

/** Creates a request. An error here, for example for an invalid key, means that nothing was sent. */
function begin(make: () => ClientRequest): ClientRequest {
  try {
    return make();
  } catch (error) {
    throw asTransportError(error, false);
  }
}
