import http from 'node:http';
import https from 'node:https';
import { connect, type AddressInfo, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** How a CONNECT is answered. */
export type Tunnelling = 'tunnel' | 'hang' | 'refuse';

export interface ConnectProxyOptions {
  /** The port of this machine to which every tunnel leads. Default: each leads to its target. */
  readonly to?: number;
  /** The certificate of an https proxy. */
  readonly tls?: https.ServerOptions;
  /** The status with which a tunnel is opened. Default: 200. */
  readonly status?: number;
}

/** A proxy that tunnels by CONNECT and counts. */
export class ConnectProxy {
  /** The targets of the CONNECT requests, as `host:port`. */
  readonly targets: string[] = [];
  /** The headers of each CONNECT. */
  readonly headers: http.IncomingHttpHeaders[] = [];
  readonly #http: http.Server;
  readonly #scheme: string;
  readonly #to: number | undefined;
  readonly #status: number;
  readonly #sockets: (Socket | Duplex)[] = [];
  readonly #waiting: (() => void)[] = [];

  private constructor(tunnelling: Tunnelling, { to, tls, status = 200 }: ConnectProxyOptions) {
    this.#http = tls === undefined ? http.createServer() : https.createServer(tls);
    this.#scheme = tls === undefined ? 'http' : 'https';
    this.#to = to;
    this.#status = status;
    this.#http.on('connection', (socket: Socket) => {
      this.#sockets.push(socket);
      socket.on('error', () => undefined);
    });
    this.#http.on('connect', (request: http.IncomingMessage, client: Duplex) => {
      this.targets.push(request.url ?? '');
      this.headers.push(request.headers);
      for (const resolve of this.#waiting.splice(0)) resolve();
      if (tunnelling === 'refuse') client.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
      if (tunnelling === 'tunnel') this.#tunnel(request.url ?? '', client);
    });
  }

  static async start(
    tunnelling: Tunnelling = 'tunnel',
    options: ConnectProxyOptions = {},
  ): Promise<ConnectProxy> {
    const proxy = new ConnectProxy(tunnelling, options);
    await new Promise<void>((resolve) => proxy.#http.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get url(): string {
    return this.urlFor();
  }

  /** The URL, with `user:password@` before the host if given. */
  urlFor(user = ''): string {
    const { port } = this.#http.address() as AddressInfo;
    return `${this.#scheme}://${user === '' ? '' : `${user}@`}127.0.0.1:${String(port)}`;
  }

  /** How many connections from clients are open. */
  get open(): number {
    return this.#sockets.filter((socket) => !socket.destroyed).length;
  }

  /** Resolves at the next CONNECT. */
  async nextConnect(): Promise<void> {
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => {
      this.#http.close(() => {
        resolve();
      });
    });
  }

  #tunnel(target: string, client: Duplex): void {
    const { hostname, port } = new URL(`http://${target}`);
    const server = connect(this.#to ?? Number(port), this.#to === undefined ? hostname : '127.0.0.1', () => {
      client.write(`HTTP/1.1 ${String(this.#status)} Tunnel\r\n\r\n`);
      client.pipe(server).pipe(client);
    });
    server.on('error', () => client.destroy());
    client.on('error', () => server.destroy());
    client.on('close', () => server.destroy());
    server.on('close', () => client.destroy());
  }
}
