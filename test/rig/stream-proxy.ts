/**
 * An HTTP/2 proxy on loopback whose faults affect single streams. Those of the fault proxy affect connections; put that one in
 * front of this one to have both. It has the API server's own certificate, and a session to the server for each client session.
 */
import http2, {
  type ClientHttp2Session,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';

/** Selects the requests of a fault. */
export type Matches = (request: { readonly method: string; readonly path: string }) => boolean;

/** What happens to the answer of a request that the server has carried out. */
type Fault =
  | { readonly kind: 'stall'; readonly matches: Matches }
  /** Happens once. */
  | { readonly kind: 'reset'; readonly matches: Matches; readonly code: number };

export interface StreamProxyParts {
  /** PEM. */
  readonly key: string;
  readonly cert: string;
  /** The server's authority. */
  readonly ca: string;
}

export class StreamProxy {
  /** Where new sessions go. */
  target: URL;
  readonly url: string;
  readonly #parts: StreamProxyParts;
  readonly #http;
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Map<ServerHttp2Session, ClientHttp2Session>();
  /** Functions that pass on the held answers. */
  readonly #held = new Set<() => void>();
  readonly #struck: (() => void)[] = [];
  #fault: Fault | undefined;

  private constructor(target: string, parts: StreamProxyParts, listener: http2.Http2SecureServer) {
    this.target = new URL(target);
    this.#parts = parts;
    this.#http = listener;
    this.url = `https://127.0.0.1:${String((listener.address() as AddressInfo).port)}`;
    listener.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    listener.on('session', (session) => {
      this.#accept(session);
    });
    listener.on('stream', (stream, headers) => {
      this.#forward(stream, headers);
    });
    listener.on('sessionError', () => undefined);
  }

  /** Starts a proxy in front of `target`. */
  static async start(target: string, parts: StreamProxyParts): Promise<StreamProxy> {
    const { key, cert } = parts;
    // As many streams as the API server allows.
    const listener = http2.createSecureServer({ key, cert, settings: { maxConcurrentStreams: 100 } });
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject);
      listener.listen(0, '127.0.0.1', resolve);
    });
    return new StreamProxy(target, parts, listener);
  }

  /** Holds the answers to matching requests until `heal`; the session and its other streams work. */
  stall(matches: Matches): void {
    this.#fault = { kind: 'stall', matches };
  }

  /** Lets the next matching request be carried out, and resets its stream instead of answering. */
  reset(matches: Matches, code: number): void {
    this.#fault = { kind: 'reset', matches, code };
  }

  /** Sends GOAWAY on every session. Open streams continue. */
  goAway(): void {
    for (const session of this.#sessions.keys())
      session.goaway(http2.constants.NGHTTP2_NO_ERROR, 2 ** 31 - 1);
  }

  /** Ends the fault, and passes on the held answers at once. */
  heal(): void {
    this.#fault = undefined;
    for (const release of this.#held) release();
    this.#held.clear();
  }

  /** Resolves when the fault next strikes: a matching request was carried out, and its answer was held or lost. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#struck.push(resolve);
    });
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#http.close(resolve));
    for (const session of this.#sessions.values()) session.destroy();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #accept(session: ServerHttp2Session): void {
    const toServer = http2.connect(this.target, { ca: this.#parts.ca });
    this.#sessions.set(session, toServer);
    session.on('error', () => undefined);
    session.on('close', () => {
      this.#sessions.delete(session);
      toServer.destroy();
    });
    toServer.on('error', () => undefined);
    // A client's session ends together with its session to the server.
    toServer.on('close', () => {
      session.destroy();
    });
  }

  #forward(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    stream.on('error', () => undefined);
    const toServer = this.#sessions.get(stream.session as ServerHttp2Session);
    if (toServer === undefined || toServer.destroyed || toServer.closed) {
      stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
      return;
    }
    const request = toServer.request({ ...headers, ':authority': this.target.host });
    request.on('error', () => undefined);
    stream.pipe(request);
    stream.on('close', () => {
      request.close(http2.constants.NGHTTP2_CANCEL);
    });
    request.on('response', (answered) => {
      const answer = (): void => {
        if (stream.destroyed) return;
        stream.respond({ ...answered });
        request.pipe(stream);
      };
      if (!this.#strikes(stream, headers, answer)) answer();
    });
    request.on('close', () => {
      // The pipe ends a complete answer; a reset is passed on here.
      if (request.rstCode !== http2.constants.NGHTTP2_NO_ERROR) stream.close(request.rstCode);
    });
  }

  /** Whether the fault keeps the answer from passing. */
  #strikes(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, answer: () => void): boolean {
    const { ':method': method = '', ':path': path = '' } = headers;
    const fault = this.#fault;
    if (fault?.matches({ method, path }) !== true) return false;
    if (fault.kind === 'stall') {
      this.#held.add(answer);
    } else {
      this.#fault = undefined;
      stream.close(fault.code);
    }
    for (const resolve of this.#struck.splice(0)) resolve();
    return true;
  }
}
