import http from 'node:http';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

/** A request as it arrived. */
export interface SeenRequest {
  readonly method: string;
  /** With the query. */
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
  /** Which connection it came over, counted from 1. */
  readonly connection: number;
}

/** Answers a request, or does not. */
export type Script = (
  request: SeenRequest,
  response: http.ServerResponse,
  socket: Socket,
) => void | Promise<void>;

/** A server that answers as a test says, and counts what reaches it. */
export class ScriptedServer {
  readonly requests: SeenRequest[] = [];
  /** Every connection so far. */
  readonly connections: Socket[] = [];
  readonly #http: http.Server;
  readonly #secure: boolean;
  readonly #waiting: { readonly count: number; readonly resolve: () => void }[] = [];

  private constructor(script: Script, tls: https.ServerOptions | undefined) {
    this.#secure = tls !== undefined;
    const listener = (incoming: http.IncomingMessage, response: http.ServerResponse): void => {
      void this.#handle(script, incoming, response);
    };
    this.#http = tls === undefined ? http.createServer(listener) : https.createServer(tls, listener);
    this.#http.keepAliveTimeout = 0;
    this.#http.on(tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
      this.connections.push(socket);
      // Some tests cut connections.
      socket.on('error', () => undefined);
    });
  }

  static async start(script: Script, tls?: https.ServerOptions, port = 0): Promise<ScriptedServer> {
    const server = new ScriptedServer(script, tls);
    await new Promise<void>((resolve) => server.#http.listen(port, '127.0.0.1', resolve));
    return server;
  }

  get port(): number {
    return (this.#http.address() as AddressInfo).port;
  }

  get url(): string {
    return `${this.#secure ? 'https' : 'http'}://127.0.0.1:${String(this.port)}`;
  }

  /** Connections that are open. */
  get open(): number {
    return this.connections.filter((socket) => !socket.destroyed).length;
  }

  /** Resolves when this many requests have arrived since the start. */
  async arrived(count: number): Promise<void> {
    if (this.requests.length >= count) return;
    await new Promise<void>((resolve) => this.#waiting.push({ count, resolve }));
  }

  async stop(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#http.close(() => {
        resolve();
      });
      this.#http.closeAllConnections();
      for (const socket of this.connections) socket.destroy();
    });
  }

  async #handle(
    script: Script,
    incoming: http.IncomingMessage,
    response: http.ServerResponse,
  ): Promise<void> {
    const connection = this.connections.indexOf(incoming.socket) + 1;
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
    } catch {
      // The connection was cut before the request was complete.
      return;
    }
    const { method = '', url = '', headers } = incoming;
    const request = { method, url, headers, connection, body: Buffer.concat(chunks).toString('utf8') };
    this.requests.push(request);
    for (const waiting of this.#waiting) if (this.requests.length >= waiting.count) waiting.resolve();
    await script(request, response, incoming.socket);
  }
}

/** Answers with JSON. */
export function answer(
  response: http.ServerResponse,
  status: number,
  body: unknown,
  headers: http.OutgoingHttpHeaders = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}
