import http2, {
  type Http2SecureServer,
  type IncomingHttpHeaders,
  type SecureServerOptions,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

/** A request as it arrived. */
export interface SeenStream {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** Which session it came over, counted from 1. */
  readonly session: number;
  readonly stream: ServerHttp2Stream;
}

/** Answers a request, or does not. */
export type StreamScript = (request: SeenStream) => void;

/** An HTTP/2 server over TLS that answers as a test says, and counts what reaches it. */
export class Http2Server {
  readonly requests: SeenStream[] = [];
  /** Every session so far. */
  readonly sessions: ServerHttp2Session[] = [];
  /** Every connection so far, with either protocol. */
  readonly connections: TLSSocket[] = [];
  /** The session of each PING, counted from 1. */
  readonly pings: number[] = [];
  #port = 0;
  readonly #http: Http2SecureServer;
  readonly #sockets: Socket[] = [];
  readonly #waiting: { readonly isSo: () => boolean; readonly resolve: () => void }[] = [];

  private constructor(script: StreamScript, options: SecureServerOptions) {
    this.#http = http2.createSecureServer(options);
    this.#http.on('connection', (socket: Socket) => {
      this.#sockets.push(socket);
      socket.on('error', () => undefined);
      // Only the client decides whether the process lives.
      socket.unref();
    });
    this.#http.on('secureConnection', (socket: TLSSocket) => {
      this.connections.push(socket);
      socket.on('error', () => undefined);
      this.#look();
    });
    this.#http.on('session', (session) => {
      this.sessions.push(session);
      const number = this.sessions.length;
      session.on('error', () => undefined);
      session.on('ping', () => {
        this.pings.push(number);
        this.#look();
      });
      session.on('close', () => {
        this.#look();
      });
    });
    this.#http.on('stream', (stream, headers) => {
      void this.#handle(script, stream, headers);
    });
    this.#http.on('sessionError', () => undefined);
    this.#http.unref();
  }

  /** @param options with the certificate. */
  static async start(script: StreamScript, options: SecureServerOptions, port = 0): Promise<Http2Server> {
    const server = new Http2Server(script, options);
    await new Promise<void>((resolve) => server.#http.listen(port, '127.0.0.1', resolve));
    server.#port = (server.#http.address() as AddressInfo).port;
    return server;
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `https://127.0.0.1:${String(this.port)}`;
  }

  /** Sessions that are open. */
  get open(): number {
    return this.sessions.filter(({ destroyed }) => !destroyed).length;
  }

  /** Resolves when this many requests have arrived since the start. */
  async arrived(count: number): Promise<void> {
    await this.until(() => this.requests.length >= count);
  }

  /** Resolves when `isSo` holds; it is checked after each event of the server. */
  async until(isSo: () => boolean): Promise<void> {
    if (!isSo()) await new Promise<void>((resolve) => this.#waiting.push({ isSo, resolve }));
  }

  /** Resets every connection, as a restarted machine does. */
  resetAll(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async stop(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#http.close(() => {
        resolve();
      });
      for (const socket of this.#sockets) socket.destroy();
    });
  }

  async #handle(
    script: StreamScript,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
  ): Promise<void> {
    const session = this.sessions.indexOf(stream.session as ServerHttp2Session) + 1;
    const chunks: Buffer[] = [];
    stream.on('error', () => undefined);
    stream.on('close', () => {
      this.#look();
    });
    try {
      for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
    } catch {
      // The request was reset before it was complete.
      return;
    }
    const { ':method': method = '', ':path': path = '' } = headers;
    const body = Buffer.concat(chunks).toString('utf8');
    const request = { method, path, headers, body, session, stream };
    this.requests.push(request);
    script(request);
    this.#look();
  }

  #look(): void {
    for (const waiting of [...this.#waiting]) {
      if (!waiting.isSo()) continue;
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      waiting.resolve();
    }
  }
}

/** Answers with a text, and ends the stream. */
export function reply({ stream }: SeenStream, text = 'done', status = 200): void {
  if (stream.destroyed) return;
  stream.respond({ ':status': status, 'content-type': 'application/json' });
  stream.end(text);
}

/** Answers with a first piece, and keeps the stream open. */
export function keepOpen({ stream }: SeenStream, text = 'opened\n'): void {
  stream.respond({ ':status': 200 });
  stream.write(text);
}
